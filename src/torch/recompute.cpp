// Activation checkpointing (Chen et al. 2016): of a part of a network only what it is given is kept until its gradient is
// wanted, and then it is computed again. The part is a function of Rust's. An error comes back as a malloc'ed message that Rust
// frees with `translate_free`, and no exception crosses the boundary.

#include "guarded.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A function of Rust's and what it holds.
struct Part : torch::CustomClassHolder {
    void *held;
    char *(*call)(void *held, Tensor **out, Tensor *xs);
    void (*drop)(void *held);
    std::vector<Tensor> parameters;

    Part(void *held, decltype(call) call, decltype(drop) drop) : held(held), call(call), drop(drop) {}
    ~Part() override { drop(held); }

    Tensor operator()(Tensor xs) const {
        Tensor *out = nullptr;
        if (char *message = call(held, &out, &xs)) {
            const std::string text(message);
            free(message);
            throw std::runtime_error(text);
        }
        const Tensor result = *out;
        delete out;
        return result;
    }
};

struct Recomputed : torch::autograd::Function<Recomputed> {
    static Tensor forward(AutogradContext *context, at::TensorList inputs, c10::intrusive_ptr<Part> part) {
        context->save_for_backward({inputs[0]});
        context->saved_data["part"] = c10::IValue::make_capsule(part);
        return (*part)(inputs[0]);
    }

    static variable_list backward(AutogradContext *context, variable_list slopes) {
        const auto part = c10::static_intrusive_pointer_cast<Part>(context->saved_data["part"].toCapsule());
        variable_list inputs{context->get_saved_variables()[0].detach().requires_grad_(true)};
        Tensor out;
        {
            at::AutoGradMode with_gradients(true);
            out = (*part)(inputs[0]);
        }
        inputs.insert(inputs.end(), part->parameters.begin(), part->parameters.end());
        auto gradients = torch::autograd::grad({out}, inputs, {slopes[0]}, /*retain_graph=*/false,
                                               /*create_graph=*/false, /*allow_unused=*/true);
        gradients.emplace_back(); // of the part itself
        return gradients;
    }
};

} // namespace

extern "C" {

// `call(held, …)` of `xs`; with gradients by that and by `parameters`, which are all that it takes beside. `drop(held)` is
// called once, whatever happens.
char *translate_recomputed(Tensor **out, Tensor *xs, Tensor **parameters, size_t count, void *held,
                           char *(*call)(void *, Tensor **, Tensor *), void (*drop)(void *)) {
    return guarded([&] {
        const auto part = c10::make_intrusive<Part>(held, call, drop);
        variable_list inputs{*xs};
        for (size_t i = 0; i < count; i++) {
            inputs.push_back(*parameters[i]);
            part->parameters.push_back(*parameters[i]);
        }
        *out = new Tensor(Recomputed::apply(at::TensorList(inputs), part));
    });
}

} // extern "C"
