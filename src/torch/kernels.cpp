// What a finished generator does most of on a CPU, faster than libtorch does it. All tensors are float32 in the memory order
// of channels-last, where the channels of one pixel lie side by side. An error comes back as a malloc'ed message that Rust
// frees with `translate_free`, and no exception crosses the boundary.

#include "guarded.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <vector>

// Compiled for several generations of processors, of which the program takes the newest that it finds.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

namespace {

// Winograd's F(4×4, 3×3) after Lavin & Gray 2016 (https://arxiv.org/abs/1509.09308, section 4.3): a tile of 6×6 inputs gives
// 4×4 outputs by 36 products instead of 144. Cook and Toom's points are 0, ±1, ±2 and infinity.
constexpr int64_t IN = 6, OUT = 4;
// Tiles that are multiplied at once: what they take stays in a core's cache.
constexpr int64_t TILES = 128;
// Channels that are transformed at once: one register of the widest kind.
constexpr int64_t LANES = 16;

struct Lanes {
    float at[LANES];
};

inline Lanes sum(const Lanes &a, float x, const Lanes &b, float y, const Lanes &c, float z, const Lanes &d, float w) {
    Lanes out;
    for (int64_t i = 0; i < LANES; i++) out.at[i] = x * a.at[i] + y * b.at[i] + z * c.at[i] + w * d.at[i];
    return out;
}

// Bᵀ·a for six values that lie `step` apart.
inline void transform_inputs(const Lanes *a, int64_t step, Lanes *out, int64_t out_step) {
    const Lanes &a0 = a[0], &a1 = a[step], &a2 = a[2 * step], &a3 = a[3 * step], &a4 = a[4 * step], &a5 = a[5 * step];
    out[0] = sum(a0, 4, a2, -5, a4, 1, a4, 0);
    out[out_step] = sum(a1, -4, a2, -4, a3, 1, a4, 1);
    out[2 * out_step] = sum(a1, 4, a2, -4, a3, -1, a4, 1);
    out[3 * out_step] = sum(a1, -2, a2, -1, a3, 2, a4, 1);
    out[4 * out_step] = sum(a1, 2, a2, -1, a3, -2, a4, 1);
    out[5 * out_step] = sum(a1, 4, a3, -5, a5, 1, a5, 0);
}

// Aᵀ·a likewise.
inline void transform_products(const Lanes *a, int64_t step, Lanes *out, int64_t out_step) {
    const Lanes &a0 = a[0], &a1 = a[step], &a2 = a[2 * step], &a3 = a[3 * step], &a4 = a[4 * step], &a5 = a[5 * step];
    for (int64_t i = 0; i < LANES; i++) {
        const float even = a1.at[i] + a2.at[i], odd = a1.at[i] - a2.at[i];
        const float even2 = a3.at[i] + a4.at[i], odd2 = a3.at[i] - a4.at[i];
        out[0].at[i] = a0.at[i] + even + even2;
        out[out_step].at[i] = odd + 2 * odd2;
        out[2 * out_step].at[i] = even + 4 * even2;
        out[3 * out_step].at[i] = odd + 8 * odd2 + a5.at[i];
    }
}

inline void load(Lanes &lanes, const float *from, int64_t count) {
    for (int64_t i = 0; i < count; i++) lanes.at[i] = from[i];
    for (int64_t i = count; i < LANES; i++) lanes.at[i] = 0;
}

// The 36 pixels of a tile, `channels` numbers each, to row k of the tile in the product k, which are `step` apart.
FOR_EACH_PROCESSOR void tile_in(const float *const *pixels, int64_t channels, float *out, int64_t step) {
    Lanes tile[IN * IN], half[IN * IN];
    for (int64_t first = 0; first < channels; first += LANES) {
        const int64_t count = std::min(LANES, channels - first);
        for (int64_t k = 0; k < IN * IN; k++) load(tile[k], pixels[k] + first, count);
        for (int64_t x = 0; x < IN; x++) transform_inputs(tile + x, IN, half + x, IN);
        for (int64_t y = 0; y < IN; y++) transform_inputs(half + IN * y, 1, tile + IN * y, 1);
        for (int64_t k = 0; k < IN * IN; k++)
            for (int64_t i = 0; i < count; i++) out[k * step + first + i] = tile[k].at[i];
    }
}

// The other way: from the 36 products to the tile's 16 pixels, of which those outside the image are null.
FOR_EACH_PROCESSOR void tile_out(const float *in, int64_t step, int64_t channels, const float *bias,
                                 float *const *pixels) {
    Lanes tile[IN * IN], half[OUT * IN], row[OUT], shift;
    for (int64_t first = 0; first < channels; first += LANES) {
        const int64_t count = std::min(LANES, channels - first);
        for (int64_t k = 0; k < IN * IN; k++) load(tile[k], in + k * step + first, count);
        load(shift, bias + first, count);
        for (int64_t x = 0; x < IN; x++) transform_products(tile + x, IN, half + x, IN);
        for (int64_t y = 0; y < OUT; y++) {
            transform_products(half + IN * y, 1, row, 1);
            for (int64_t x = 0; x < OUT; x++)
                if (float *pixel = pixels[OUT * y + x])
                    for (int64_t i = 0; i < count; i++) pixel[first + i] = row[x].at[i] + shift.at[i];
        }
    }
}

// Where a pixel outside the image is taken from: mirrored at the border. What is farther out belongs to no output.
inline int64_t mirrored(int64_t at, int64_t size) {
    at = std::min(at, size);
    return at < 0 ? -at : at == size ? size - 2 : at;
}

const float *numbers(const at::Tensor &tensor) { return tensor.const_data_ptr<float>(); }

at::Tensor channels_last(const at::Tensor &xs) {
    TORCH_CHECK(xs.device().is_cpu() && xs.scalar_type() == at::kFloat && xs.dim() == 4,
                "expected a float32 batch of images on the CPU");
    return xs.contiguous(at::MemoryFormat::ChannelsLast);
}

// The tiles of a batch of images, one after another.
struct Tiling {
    int64_t height, width, rows, columns;
    // The image and the first output pixel of a tile.
    void place(int64_t tile, int64_t &image, int64_t &y, int64_t &x) const {
        image = tile / (rows * columns);
        y = tile / columns % rows * OUT;
        x = tile % columns * OUT;
    }
};

// Sums of each channel's values and squares over some of an image's pixels.
FOR_EACH_PROCESSOR void add_moments(const float *pixels, int64_t count, int64_t channels, double *sums,
                                    double *squares) {
    for (int64_t p = 0; p < count; p++)
        for (int64_t c = 0; c < channels; c++) {
            const double value = pixels[p * channels + c];
            sums[c] += value;
            squares[c] += value * value;
        }
}

FOR_EACH_PROCESSOR void scale(const float *pixels, int64_t count, int64_t channels, const float *factor,
                              const float *shift, float *out) {
    for (int64_t p = 0; p < count; p++)
        for (int64_t c = 0; c < channels; c++)
            out[p * channels + c] = pixels[p * channels + c] * factor[c] + shift[c];
}

} // namespace

extern "C" {

// The weight `[to, from, 3, 3]` of a convolution as the products take it: `[36, from, to]`.
char *translate_winograd_weight(at::Tensor **out, at::Tensor *weight) {
    return guarded([&] {
        c10::AutoGradMode no_grad(false);
        const auto g = at::tensor({1 / 4., 0., 0., -1 / 6., -1 / 6., -1 / 6., -1 / 6., 1 / 6., -1 / 6., 1 / 24., 1 / 12.,
                                   1 / 6., 1 / 24., -1 / 12., 1 / 6., 0., 0., 1.},
                                  at::kDouble)
                           .reshape({IN, 3});
        const auto products = at::einsum("ia,kcab,jb->ijck", {g, weight->to(at::kDouble), g});
        *out = new at::Tensor(products.flatten(0, 1).to(at::kFloat).contiguous());
    });
}

// The 3×3 convolution of stride 1 of `xs` `[batch, from, height, width]`, whose border is mirrored.
char *translate_winograd(at::Tensor **out, at::Tensor *images, at::Tensor *weight, at::Tensor *bias) {
    return guarded([&] {
        c10::AutoGradMode no_grad(false);
        const at::Tensor xs = channels_last(*images);
        const int64_t batch = xs.size(0), from = xs.size(1), height = xs.size(2), width = xs.size(3);
        const int64_t to = weight->size(2);
        TORCH_CHECK(height > 1 && width > 1, "a border of one pixel cannot be mirrored in ", height, " x ", width);
        TORCH_CHECK(weight->size(0) == IN * IN && weight->size(1) == from && bias->numel() == to,
                    "weight and bias do not fit ", from, " channels");
        at::Tensor ys = at::empty({batch, to, height, width}, xs.options(), at::MemoryFormat::ChannelsLast);
        const Tiling tiling{height, width, (height + OUT - 1) / OUT, (width + OUT - 1) / OUT};
        const int64_t tiles = batch * tiling.rows * tiling.columns, blocks = (tiles + TILES - 1) / TILES;
        const float *x = numbers(xs), *shift = numbers(*bias);
        float *y = ys.mutable_data_ptr<float>();

        const auto read = [&](int64_t tile, float *to_products) {
            int64_t image, top, left;
            tiling.place(tile, image, top, left);
            const float *pixels[IN * IN];
            for (int64_t i = 0; i < IN; i++) {
                const float *row = x + (image * height + mirrored(top + i - 1, height)) * width * from;
                for (int64_t j = 0; j < IN; j++) pixels[IN * i + j] = row + mirrored(left + j - 1, width) * from;
            }
            tile_in(pixels, from, to_products, TILES * from);
        };
        const auto write = [&](int64_t tile, const float *products) {
            int64_t image, top, left;
            tiling.place(tile, image, top, left);
            float *pixels[OUT * OUT];
            for (int64_t i = 0; i < OUT; i++)
                for (int64_t j = 0; j < OUT; j++) {
                    const bool inside = top + i < height && left + j < width;
                    float *pixel = y + ((image * height + top + i) * width + left + j) * to;
                    pixels[OUT * i + j] = inside ? pixel : nullptr;
                }
            tile_out(products, TILES * to, to, shift, pixels);
        };
        at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
            c10::AutoGradMode no_grad(false);
            at::Tensor inputs = at::empty({IN * IN, TILES, from}, xs.options());
            at::Tensor products = at::empty({IN * IN, TILES, to}, xs.options());
            for (int64_t block = begin; block < end; block++) {
                const int64_t first = block * TILES, last = std::min(tiles, first + TILES), count = last - first;
                for (int64_t tile = first; tile < last; tile++)
                    read(tile, inputs.mutable_data_ptr<float>() + (tile - first) * from);
                at::Tensor filled = products.narrow(1, 0, count);
                at::bmm_out(filled, inputs.narrow(1, 0, count), *weight);
                for (int64_t tile = first; tile < last; tile++)
                    write(tile, numbers(products) + (tile - first) * to);
            }
        });
        *out = new at::Tensor(ys);
    });
}

// Each image and channel of `xs` less its mean, divided by the root of its variance and `eps`.
char *translate_instance_norm(at::Tensor **out, at::Tensor *images, double eps) {
    return guarded([&] {
        c10::AutoGradMode no_grad(false);
        const at::Tensor xs = channels_last(*images);
        const int64_t channels = xs.size(1), pixels = xs.size(2) * xs.size(3);
        at::Tensor ys = at::empty_like(xs);
        // Enough parts for all threads where there is one image.
        const int64_t part = std::max<int64_t>(64, (pixels + 63) / 64), parts = (pixels + part - 1) / part;
        const auto count = [&](int64_t i) { return std::min(part, pixels - i * part); };
        std::vector<double> sums(2 * parts * channels);
        std::vector<float> factor(channels), shift(channels);
        for (int64_t image = 0; image < xs.size(0); image++) {
            const float *from = numbers(xs) + image * pixels * channels;
            float *to = ys.mutable_data_ptr<float>() + image * pixels * channels;
            std::fill(sums.begin(), sums.end(), 0.0);
            at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; i++) {
                    double *own = sums.data() + 2 * i * channels;
                    add_moments(from + i * part * channels, count(i), channels, own, own + channels);
                }
            });
            for (int64_t c = 0; c < channels; c++) {
                double sum = 0, square = 0;
                for (int64_t i = 0; i < parts; i++) {
                    sum += sums[2 * i * channels + c];
                    square += sums[(2 * i + 1) * channels + c];
                }
                const double mean = sum / pixels, variance = std::max(0.0, square / pixels - mean * mean);
                const double by = 1 / std::sqrt(variance + eps);
                factor[c] = static_cast<float>(by);
                shift[c] = static_cast<float>(-mean * by);
            }
            at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; i++)
                    scale(from + i * part * channels, count(i), channels, factor.data(), shift.data(),
                          to + i * part * channels);
            });
        }
        *out = new at::Tensor(ys);
    });
}

// `xs` in the memory order of channels-last.
char *translate_channels_last(at::Tensor **out, at::Tensor *xs) {
    return guarded([&] { *out = new at::Tensor(xs->contiguous(at::MemoryFormat::ChannelsLast)); });
}

} // extern "C"
