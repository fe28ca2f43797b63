// ATB (the transformer library): its few C++ entry points hand out objects whose virtual methods
// torch_npu calls, so that returning success is not enough. The order of the methods is that of
// atb::Operation and atb::Context in ATB's public headers; stubs.py gives these functions the
// names (mangled) that the installed torch_npu asks for.
#include <string>

extern "C" {
#include "standin.h"
}

namespace {

struct Context {
    virtual ~Context() = default;
    virtual int SetExecuteStream(void *given)
    {
        stream = given;
        return 0;
    }
    virtual void *GetExecuteStream() const { return stream; }
    virtual int Reserved0() { return 0; }
    virtual int Reserved1() { return 0; }
    virtual int Reserved2() { return 0; }
    virtual int Reserved3() { return 0; }
    virtual int Reserved4() { return 0; }
    virtual int Reserved5() { return 0; }

    void *stream = nullptr;
};

// Its tensors come in a structure of ATB's own, which the clock does not read: it takes the time
// of an operator without tensors.
standin_operator atb_operator = {"atb", nullptr, nullptr};

struct Operation {
    virtual ~Operation() = default;
    virtual std::string GetName() const { return "stand-in"; }
    virtual int InferShape(const void *, void *) const { return 0; }
    virtual uint32_t GetInputNum() const { return 1; }
    virtual uint32_t GetOutputNum() const { return 1; }
    virtual int Setup(const void *, uint64_t &workspace, void *)
    {
        workspace = 0;
        return 0;
    }
    virtual int Execute(const void *, uint8_t *, uint64_t, Context *context)
    {
        return standin_launch(&atb_operator, context->stream);
    }
    virtual int Reserved0() { return 0; }
    virtual int Reserved1() { return 0; }
    virtual int Reserved2() { return 0; }
};

} // namespace

extern "C" long standin_atb_operation(const void *, Operation **made)
{
    *made = new Operation;
    return 0;
}

extern "C" long standin_atb_context(Context **made, void *)
{
    *made = new Context;
    return 0;
}

extern "C" long standin_atb_nothing(void *, void *) { return 0; }
