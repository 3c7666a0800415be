// What libtorch has and tch does not bind. Tensors cross as tch's own `at::Tensor *`; an error comes back as a
// malloc'ed message that Rust frees with `translate_free`, and no exception crosses the boundary.

#include "guarded.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/leaky_relu.h>
#include <c10/core/GradMode.h>
#include <torch/version.h>

#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

std::vector<at::Tensor> list(at::Tensor **tensors, size_t count) {
    std::vector<at::Tensor> out;
    out.reserve(count);
    for (size_t i = 0; i < count; i++) out.push_back(*tensors[i]);
    return out;
}

// The gradients, element by element in the memory order of their parameters. The fused kernel walks both by address, and
// a gradient as autograd returns it may lie otherwise: that of a penalty on slopes, a second derivative, does.
std::vector<at::Tensor> laid_out_as(const std::vector<at::Tensor> &params, std::vector<at::Tensor> grads) {
    for (size_t i = 0; i < grads.size(); i++) {
        if (grads[i].sizes() == params[i].sizes() && grads[i].strides() != params[i].strides())
            grads[i] = at::empty_like(params[i]).copy_(grads[i]);
    }
    return grads;
}

} // namespace

extern "C" {

void translate_free(char *message) { free(message); }

// The version of the headers that this was compiled against.
const char *translate_torch_version() { return TORCH_VERSION; }

// One Adam update (Kingma & Ba 2015) of all parameters in one call. `steps` are float32 scalars, and count it.
char *translate_fused_adam(at::Tensor **params, at::Tensor **grads, at::Tensor **exp_avgs, at::Tensor **exp_avg_sqs,
                           at::Tensor **steps, size_t count, at::Tensor *lr, double beta1, double beta2, double eps) {
    return guarded([&] {
        c10::AutoGradMode no_grad(false);
        auto moved = list(params, count);
        const auto counted = list(steps, count);
        at::_foreach_add_(counted, 1);
        at::_fused_adam_(moved, laid_out_as(moved, list(grads, count)), list(exp_avgs, count), list(exp_avg_sqs, count),
                         /*max_exp_avg_sqs=*/{}, counted, *lr, beta1, beta2, /*weight_decay=*/0.0, eps,
                         /*amsgrad=*/false, /*maximize=*/false);
    });
}

// Brings every average by `weight` of the way towards its tensor.
char *translate_lerp(at::Tensor **averages, at::Tensor **tensors, size_t count, double weight) {
    return guarded([&] {
        c10::AutoGradMode no_grad(false);
        at::_foreach_lerp_(list(averages, count), list(tensors, count), weight);
    });
}

// Turns autocast to bfloat16 on or off for one kind of device in this thread, and gives whether it was on. Weights that were
// cast are not kept: each forward is a scope of its own.
char *translate_autocast(bool *before, bool cuda, bool on) {
    return guarded([&] {
        const auto device = cuda ? at::kCUDA : at::kCPU;
        *before = at::autocast::is_autocast_enabled(device);
        at::autocast::set_autocast_dtype(device, at::kBFloat16);
        at::autocast::set_autocast_cache_enabled(false);
        at::autocast::set_autocast_enabled(device, on);
    });
}

bool translate_is_autocast(bool cuda) { return at::autocast::is_autocast_enabled(cuda ? at::kCUDA : at::kCPU); }

// How a GPU computes in this process: whether float32 products may be rounded to TF32's 10 bits of mantissa, and whether only
// algorithms count that give the same bits each time. Without that, cuDNN tries out which one is fastest.
char *translate_set_arithmetic(bool tf32, bool deterministic) {
    return guarded([&] {
        auto &context = at::globalContext();
        // What cuBLAS asks for before it does; its value is one of the two that PyTorch's manual names.
        if (deterministic) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
        context.setAllowTF32CuBLAS(tf32);
        context.setAllowTF32CuDNN(tf32);
        context.setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
        context.setDeterministicCuDNN(deterministic);
        context.setBenchmarkCuDNN(!deterministic);
    });
}

// Leaky ReLU with a chosen slope; tch binds it with 0.01 only.
char *translate_leaky_relu(at::Tensor **out, at::Tensor *xs, double slope) {
    return guarded([&] { *out = new at::Tensor(at::leaky_relu(*xs, slope)); });
}

} // extern "C"
