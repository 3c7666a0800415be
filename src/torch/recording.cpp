// The work of a device, recorded while it is done and then done again without the program that asked for it: on a GPU as a
// CUDA graph, on a CPU as the list of libtorch's operators below autograd, each called again with the tensors that it had.
// An error comes back as a malloc'ed message that Rust frees with `translate_free`, and no exception crosses the boundary.

#include "cuda_half.h"
#include "guarded.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/op_registration/op_registration.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

struct Recording {
    virtual ~Recording() = default;
    // Where this fails, `is_entered` says whether the device cannot be used any more.
    virtual void begin(bool &is_entered) = 0;
    // The work has been asked for, or has failed. Where this fails the device cannot be used any more.
    virtual void end() = 0;
    virtual void replay() = 0;
    // After `end`: whether the work has been done, or is only recorded.
    virtual bool is_done() const = 0;
};

// --- CPU ---------------------------------------------------------------------------------------------------------------

// Of libtorch's keys between autograd and the kernels, the one that nothing here uses: once a thread includes it, all that
// the thread asks for comes by.
constexpr auto KEY = c10::DispatchKey::Fake;

struct Call {
    c10::OperatorHandle op;
    torch::jit::Stack inputs;
    torch::jit::Stack outputs;
};

thread_local std::vector<Call> *calls = nullptr;

bool starts_with(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }

// Values that a host would have to wait for.
bool is_read_by_host(std::string_view name) {
    for (const auto *read : {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::masked_select", "aten::_unique2"})
        if (name == read) return true;
    return false;
}

// Whether an operator gives nothing but other looks at its inputs, or memory without values.
bool is_without_work(const c10::FunctionSchema &schema) {
    if (starts_with(schema.name(), "aten::empty") || starts_with(schema.name(), "aten::new_empty")) return true;
    if (schema.is_mutable() || schema.returns().empty()) return false;
    for (const auto &result : schema.returns())
        if (result.alias_info() == nullptr) return false;
    return true;
}

void record(const c10::OperatorHandle &op, c10::DispatchKeySet, torch::jit::Stack *stack) {
    const auto &schema = op.schema();
    TORCH_CHECK(!is_read_by_host(schema.name()), schema.name(), " reads what the device computes, which cannot be recorded");
    c10::impl::ExcludeDispatchKeyGuard below(KEY);
    const size_t arguments = schema.arguments().size();
    torch::jit::Stack inputs(stack->end() - static_cast<ptrdiff_t>(arguments), stack->end());
    op.callBoxed(stack);
    if (calls == nullptr || is_without_work(schema)) return;
    const size_t results = schema.returns().size();
    torch::jit::Stack outputs(stack->end() - static_cast<ptrdiff_t>(results), stack->end());
    calls->push_back({op, std::move(inputs), std::move(outputs)});
}

// Brings new results to where the old ones lie, which later calls read.
void put(const at::Tensor &old, const at::Tensor &now) {
    if (!old.defined() || old.is_same(now)) return;
    TORCH_CHECK(old.sizes() == now.sizes(), "a recorded operator gives another shape now");
    old.copy_(now);
}

class Operators final : public Recording {
    std::vector<Call> recorded;

  public:
    ~Operators() override { end(); }
    void begin(bool &) override {
        TORCH_CHECK(calls == nullptr, "this thread records already");
        calls = &recorded;
        c10::impl::tls_set_dispatch_key_included(KEY, true);
    }
    void end() override {
        if (calls != &recorded) return;
        calls = nullptr;
        c10::impl::tls_set_dispatch_key_included(KEY, false);
    }
    bool is_done() const override { return true; }
    void replay() override {
        at::AutoDispatchBelowADInplaceOrView below;
        for (const auto &call : recorded) {
            torch::jit::Stack stack = call.inputs;
            call.op.callBoxed(stack);
            const auto &results = call.op.schema().returns();
            for (size_t i = 0; i < results.size(); i++) {
                if (results[i].alias_info() != nullptr) continue;
                if (stack[i].isTensor()) put(call.outputs[i].toTensor(), stack[i].toTensor());
                else if (stack[i].isTensorList()) {
                    const auto old = call.outputs[i].toTensorVector(), now = stack[i].toTensorVector();
                    for (size_t k = 0; k < old.size(); k++) put(old[k], now[k]);
                }
            }
        }
    }
};

TORCH_LIBRARY_IMPL(_, Fake, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&record>()); }

// --- CUDA --------------------------------------------------------------------------------------------------------------

// libtorch's `at::cuda::CUDAGraph`, in memory that is larger than one.
class CudaGraph final : public Recording {
    alignas(64) std::byte memory[1024];

  public:
    CudaGraph() { cuda_function<void(void *, bool)>("_ZN2at4cuda9CUDAGraphC1Eb")(memory, /*keep_graph=*/false); }
    ~CudaGraph() override {
        try {
            cuda_function<void(void *)>("_ZN2at4cuda9CUDAGraphD1Ev")(memory);
        } catch (...) {
        }
    }
    CudaGraph(const CudaGraph &) = delete;
    void begin(bool &is_entered) override {
        // What the allocator keeps is of no use to a graph, which has memory of its own.
        c10::getDeviceAllocator(c10::DeviceType::CUDA)->emptyCache();
        using Pool = std::pair<unsigned long long, unsigned long long>;
        constexpr int GLOBAL = 0; // cudaStreamCaptureModeGlobal
        const auto capture_begin = cuda_function<void(void *, Pool, int)>(
            "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
        is_entered = true;
        capture_begin(memory, Pool{0, 0}, GLOBAL);
    }
    void end() override { cuda_function<void(void *)>("_ZN2at4cuda9CUDAGraph11capture_endEv")(memory); }
    bool is_done() const override { return false; }
    void replay() override { cuda_function<void(void *)>("_ZN2at4cuda9CUDAGraph6replayEv")(memory); }
};

} // namespace

extern "C" {

// Begins to record what this thread asks of a device. After an error, the device cannot be used any more where `is_entered`.
char *translate_record_begin(void **recording, bool *is_entered, bool cuda) {
    return guarded([&] {
        std::unique_ptr<Recording> begun;
        if (cuda) begun = std::make_unique<CudaGraph>();
        else begun = std::make_unique<Operators>();
        begun->begin(*is_entered);
        *recording = begun.release();
    });
}

// Ends it, whether the work was asked for or has failed. After an error the device cannot be used any more: libtorch does not
// clean up behind a recording that CUDA calls invalid.
char *translate_record_end(void *recording) {
    return guarded([&] { static_cast<Recording *>(recording)->end(); });
}

// Does recorded work that has not been done.
char *translate_record_finish(void *recording) {
    return guarded([&] {
        auto *recorded = static_cast<Recording *>(recording);
        if (!recorded->is_done()) recorded->replay();
    });
}

char *translate_replay(void *recording) {
    return guarded([&] { static_cast<Recording *>(recording)->replay(); });
}

void translate_record_free(void *recording) { delete static_cast<Recording *>(recording); }

} // extern "C"
