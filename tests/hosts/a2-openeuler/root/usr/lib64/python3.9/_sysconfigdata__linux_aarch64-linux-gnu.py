# system configuration generated and used by the sysconfig module
build_time_vars = {'CONFIG_ARGS': "'--enable-shared' '--enable-optimizations' '--with-lto'",
 'OPT': '-DNDEBUG -g -fwrapv -O2 -Wall',
 'PY_CFLAGS': '-Wno-unused-result -O2',
 'PY_CFLAGS_NODIST': '-flto -fprofile-use -fprofile-correction',
 'PY_LDFLAGS_NODIST': '-flto -fuse-linker-plugin',
 'PGO_PROF_USE_FLAG': '-fprofile-use -fprofile-correction',
 'Py_DEBUG': 0,
 'Py_ENABLE_SHARED': 1}
