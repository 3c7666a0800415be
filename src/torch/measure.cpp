// What a benchmark asks of libtorch: how many products its operators multiply, how much of a GPU's memory was taken, and
// which matrix products a GPU may shorten. An error comes back as a malloc'ed message that Rust frees with
// `translate_free`, and no exception crosses the boundary.

#include "guarded.h"

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

namespace {

// libtorch hands this on to the threads that differentiate, as it does the callbacks. Of its kinds none is for programs;
// this one libtorch itself leaves free.
constexpr auto KIND = c10::DebugInfoKind::TEST_INFO_2;

struct Products : c10::DebugInfoBase {
    std::atomic<uint64_t> count{0};
};

// Counted operators that this thread is inside of: one that works by way of another is counted once.
thread_local int depth = 0;

// Inside of a counted operator.
struct Inside : at::ObserverContext {
    // By one value of the result.
    uint64_t each = 0;
    Inside() { depth++; }
    ~Inside() override { depth--; }
};

using Inputs = c10::ArrayRef<const c10::IValue>;

uint64_t numel(const c10::IValue &tensor) { return static_cast<uint64_t>(tensor.toTensor().numel()); }

// Products by one value of what a convolution's windows are laid at: its result, or its input where it is transposed. Both
// weights have that side's channels first.
uint64_t window(const at::Tensor &weight) {
    return weight.numel() == 0 ? 0 : static_cast<uint64_t>(weight.numel() / weight.size(0));
}

void add(uint64_t products) {
    static_cast<Products *>(c10::ThreadLocalDebugInfo::get(KIND))->count += products;
}

// _convolution(input, weight, bias, stride, padding, dilation, transposed, …)
uint64_t convolution(Inputs in, Inside &inside) {
    const uint64_t products = window(in[1].toTensor());
    if (in[6].toBool()) return numel(in[0]) * products;
    inside.each = products;
    return 0;
}

// convolution_backward(grad_output, input, weight, bias_sizes, stride, padding, dilation, transposed, output_padding,
// groups, output_mask): as many products for each of the two gradients that are wanted as forward.
uint64_t convolution_backward(Inputs in) {
    const auto wanted = in[10].toBoolList();
    const uint64_t gradients = uint64_t(wanted.get(0)) + uint64_t(wanted.get(1));
    return gradients * numel(in[in[7].toBool() ? 1 : 0]) * window(in[2].toTensor());
}

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction &fn) {
    if (depth > 0 || c10::ThreadLocalDebugInfo::get(KIND) == nullptr) return nullptr;
    const std::string_view name = fn.name();
    const Inputs in = fn.inputs();
    const auto last = [](const c10::IValue &tensor) { return static_cast<uint64_t>(tensor.toTensor().size(-1)); };
    auto inside = std::make_unique<Inside>();
    if (name == "aten::_convolution") add(convolution(in, *inside));
    else if (name == "aten::convolution_backward") add(convolution_backward(in));
    else if (name == "aten::mm" || name == "aten::bmm" || name == "aten::mv") inside->each = last(in[0]);
    else if (name == "aten::addmm" || name == "aten::baddbmm" || name == "aten::addmv") inside->each = last(in[1]);
    else return nullptr;
    return inside;
}

void leave(const at::RecordFunction &fn, at::ObserverContext *context) {
    const auto *inside = static_cast<Inside *>(context);
    // Without a result the operator has failed.
    if (inside != nullptr && inside->each > 0 && !fn.outputs().empty()) add(inside->each * numel(fn.outputs()[0]));
}

struct Counting {
    std::shared_ptr<Products> products = std::make_shared<Products>();
    at::CallbackHandle handle = 0;
};

} // namespace

extern "C" {

// Counts from here on what this thread does, and what is differentiated for it.
char *translate_count_start(void **counting) {
    return guarded([&] {
        auto made = std::make_unique<Counting>();
        c10::ThreadLocalDebugInfo::_push(KIND, made->products);
        made->handle = at::addThreadLocalCallback(at::RecordFunctionCallback(enter, leave)
                                                      .needsInputs(true)
                                                      .needsOutputs(true)
                                                      .scopes({at::RecordScope::FUNCTION}));
        *counting = made.release();
    });
}

// Ends what `translate_count_start` began on this thread.
char *translate_count_stop(void *counting, uint64_t *products) {
    return guarded([&] {
        const std::unique_ptr<Counting> ended(static_cast<Counting *>(counting));
        at::removeCallback(ended->handle);
        c10::ThreadLocalDebugInfo::_pop(KIND);
        *products = ended->products->count;
    });
}

// The most bytes that tensors on a GPU have taken at one time.
char *translate_cuda_peak(int8_t index, uint64_t *bytes) {
    return guarded([&] {
        const auto stats = c10::getDeviceAllocator(c10::DeviceType::CUDA)->getDeviceStats(index);
        const auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
        *bytes = static_cast<uint64_t>(stats.allocated_bytes[all].peak);
    });
}

// Whether a GPU may take TF32, 11 bits of a float32's 24, for matrix products; what was so before comes back.
char *translate_tf32_products(bool allow, bool *before) {
    return guarded([&] {
        auto &context = at::globalContext();
        *before = context.allowTF32CuBLAS();
        context.setAllowTF32CuBLAS(allow);
    });
}

} // extern "C"
