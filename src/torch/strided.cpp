// Layers that keep the memory order of their images, channels-last above all, where libtorch's own copy them to another order
// and back: made of its operators that take tensors as they lie, on any device, with gradients. An error comes back as a
// malloc'ed message that Rust frees with `translate_free`, and no exception crosses the boundary.

#include "guarded.h"

#include <ATen/core/Tensor.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/var_mean.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>
#include <vector>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t HEIGHT = 2, WIDTH = 3;

// The mean of each image's each channel, and 1 / its spread.
std::pair<Tensor, Tensor> statistics(const Tensor &xs, double eps) {
    const auto [variance, mean] = at::var_mean(xs, at::IntArrayRef{HEIGHT, WIDTH}, /*correction=*/0, /*keepdim=*/true);
    return {mean, (variance + eps).rsqrt()};
}

Tensor channel_mean(const Tensor &xs) { return xs.mean({HEIGHT, WIDTH}, /*keepdim=*/true); }

// What `one` makes of each image, put together again.
template <typename One> Tensor each_image(const Tensor &images, One one) {
    std::vector<Tensor> made;
    for (int64_t i = 0; i < images.size(0); i++) made.push_back(one(i));
    return made.size() == 1 ? made[0] : at::cat(made);
}

// Instance norm (Ulyanov et al. 2016); `by_image` as batch norm of one image after another, for which a GPU has kernels that
// read an image once, of bfloat16 too, with statistics in float32.
struct InstanceNorm : torch::autograd::Function<InstanceNorm> {
    static Tensor forward(AutogradContext *context, const Tensor &xs, double eps, bool by_image) {
        context->saved_data["eps"] = eps;
        context->saved_data["by_image"] = by_image;
        if (!by_image) {
            const auto [mean, scale] = statistics(xs, eps);
            context->save_for_backward({xs, mean, scale});
            return (xs - mean).mul_(scale);
        }
        std::vector<Tensor> means, scales;
        const Tensor normal = each_image(xs, [&](int64_t i) {
            auto [one, mean, scale] = at::native_batch_norm(xs.narrow(0, i, 1), {}, {}, {}, {}, /*training=*/true,
                                                            /*momentum=*/0.0, eps);
            means.push_back(mean);
            scales.push_back(scale);
            return one;
        });
        context->save_for_backward({xs, at::stack(means), at::stack(scales)});
        return normal;
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        const auto saved = context->get_saved_variables();
        const double eps = context->saved_data["eps"].toDouble();
        const bool by_image = context->saved_data["by_image"].toBool(), is_again = at::GradMode::is_enabled();
        if (by_image && !is_again) {
            const Tensor slopes = gradients[0].contiguous(saved[0].suggest_memory_format());
            const auto slope = [&](int64_t i) {
                return std::get<0>(at::native_batch_norm_backward(
                    slopes.narrow(0, i, 1), saved[0].narrow(0, i, 1), {}, {}, {}, saved[1][i], saved[2][i],
                    /*train=*/true, eps, {true, false, false}));
            };
            return {each_image(slopes, slope), Tensor(), Tensor()};
        }
        // Where the gradient is itself differentiated, the statistics have to be known as functions of the images, and all is
        // computed in no less than float32.
        const auto kind = saved[0].scalar_type(), wide = kind == at::kBFloat16 ? at::kFloat : kind;
        const Tensor xs = saved[0].to(wide), slope = gradients[0].to(wide);
        const auto [center, scale] = is_again ? statistics(xs, eps) : std::make_pair(saved[1], saved[2]);
        const Tensor normal = (xs - center) * scale;
        const Tensor sideways = normal * channel_mean(slope * normal);
        return {((slope - channel_mean(slope) - sideways) * scale).to(kind), Tensor(), Tensor()};
    }
};

Tensor flipped(const Tensor &images, int64_t dim) { return images.size(dim) == 1 ? images : images.flip(dim); }

// `images` with what lies before row or column `n` mirrored around it, and likewise at the end.
void mirror(const Tensor &images, int64_t dim, int64_t n) {
    const int64_t size = images.size(dim);
    images.narrow(dim, 0, n).copy_(flipped(images.narrow(dim, n + 1, n), dim));
    images.narrow(dim, size - n, n).copy_(flipped(images.narrow(dim, size - 2 * n - 1, n), dim));
}

// The gradient of that: what was mirrored adds to where it is from.
Tensor unmirrored(const Tensor &slope, int64_t dim, int64_t n) {
    const int64_t size = slope.size(dim) - 2 * n;
    const Tensor inner = slope.narrow(dim, n, size).clone();
    inner.narrow(dim, 1, n).add_(flipped(slope.narrow(dim, 0, n), dim));
    inner.narrow(dim, size - n - 1, n).add_(flipped(slope.narrow(dim, size + n, n), dim));
    return inner;
}

// Mirrors `n` pixels at every border, without repeating the border itself.
struct Reflect : torch::autograd::Function<Reflect> {
    static Tensor forward(AutogradContext *context, const Tensor &xs, int64_t n) {
        const int64_t height = xs.size(HEIGHT), width = xs.size(WIDTH);
        TORCH_CHECK(n < height && n < width, "a border of ", n, " pixels cannot be mirrored in ", height, " x ", width);
        context->saved_data["n"] = n;
        const Tensor out = at::empty({xs.size(0), xs.size(1), height + 2 * n, width + 2 * n}, xs.options(),
                                     xs.suggest_memory_format());
        const Tensor rows = out.narrow(HEIGHT, n, height);
        rows.narrow(WIDTH, n, width).copy_(xs);
        mirror(rows, WIDTH, n);
        mirror(out, HEIGHT, n);
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        const int64_t n = context->saved_data["n"].toInt();
        return {unmirrored(unmirrored(gradients[0], HEIGHT, n), WIDTH, n), Tensor()};
    }
};

} // namespace

extern "C" {

char *translate_strided_instance_norm(Tensor **out, Tensor *xs, double eps, bool by_image) {
    return guarded([&] { *out = new Tensor(InstanceNorm::apply(*xs, eps, by_image)); });
}

char *translate_strided_reflect(Tensor **out, Tensor *xs, int64_t n) {
    return guarded([&] { *out = new Tensor(Reflect::apply(*xs, n)); });
}

bool translate_is_channels_last(Tensor *xs) {
    return xs->suggest_memory_format() == at::MemoryFormat::ChannelsLast;
}

} // extern "C"
