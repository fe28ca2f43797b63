# system configuration generated and used by the sysconfig module
build_time_vars = {'CONFIG_ARGS': "'--enable-shared' '--prefix=/usr'",
 'OPT': '-DNDEBUG -g -fwrapv -O2 -Wall',
 'PY_CFLAGS': '-Wno-unused-result -O2',
 'PY_CFLAGS_NODIST': '-std=c11',
 'PY_LDFLAGS_NODIST': '',
 'PGO_PROF_USE_FLAG': '-fprofile-use -fprofile-correction',
 'Py_DEBUG': 0,
 'Py_ENABLE_SHARED': 1}
