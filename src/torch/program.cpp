// A network as a TorchScript program: traced, saved, and listed operator by operator for other formats. Also PyTorch's
// pickle of a state dict. Tensors cross as tch's own `at::Tensor *`; an error comes back as a malloc'ed message that Rust
// frees with `translate_free`, and no exception crosses the boundary.

#include "guarded.h"

#include <ATen/core/Dict.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/serialization/pickler.h>

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using torch::jit::Module;
using torch::jit::Node;
using torch::jit::Value;

namespace {

// Takes the bytes of a result.
using Sink = void (*)(void *context, const char *bytes, size_t count);
// Applies the network to the traced inputs; null where it failed. The tensor is the caller's to delete.
using Forward = at::Tensor *(*)(void *context);

Module empty(const char *name, const std::shared_ptr<torch::jit::CompilationUnit> &unit) {
    Module module(c10::QualifiedName(name), unit, /*shouldMangle=*/true);
    // What PyTorch asks every module for.
    module.register_attribute("training", c10::BoolType::get(), false);
    return module;
}

// Registers `weight` under its name, `a.b.weight` in the part `b` of the part `a`.
void add(Module module, const std::string &name, const at::Tensor &weight) {
    size_t begin = 0;
    for (size_t dot; (dot = name.find('.', begin)) != std::string::npos; begin = dot + 1) {
        const std::string part = name.substr(begin, dot - begin);
        if (!module.hasattr(part))
            module.register_module(part, empty("__torch__.translate.Layer", module._ivalue()->compilation_unit()));
        module = module.attr(part).toModule();
    }
    const bool is_buffer = !weight.requires_grad();
    module.register_parameter(name.substr(begin), weight, is_buffer);
}

void list(std::ostream &out, const Value *value);

void list(std::ostream &out, const c10::IValue &constant) {
    const auto each = [&](const auto &items) {
        const char *between = "[";
        for (const auto &item : items) {
            out << between;
            list(out, c10::IValue(item));
            between = ",";
        }
        out << (items.empty() ? "[]" : "]");
    };
    if (constant.isNone()) out << "null";
    else if (constant.isBool()) out << (constant.toBool() ? "true" : "false");
    else if (constant.isInt()) out << constant.toInt();
    else if (constant.isDouble()) out << constant.toDouble();
    else if (constant.isIntList()) each(constant.toIntVector());
    else if (constant.isDoubleList()) each(constant.toDoubleVector());
    else if (constant.isTensor() && constant.toTensor().numel() == 1)
        list(out, c10::IValue(constant.toTensor().item<double>()));
    else throw std::runtime_error("the traced network has a constant of type " + constant.type()->str());
}

// An attribute's place below the module, as `model.1.weight`.
std::string path(const Value *value) {
    const Node *node = value->node();
    if (node->kind() != c10::prim::GetAttr) return "";
    const std::string parent = path(node->input()), &name = node->s(c10::attr::name);
    return parent.empty() ? name : parent + "." + name;
}

// An operator's argument: a constant, a list, a weight by its name, or another operator's result by its number.
void list(std::ostream &out, const Value *value) {
    const auto kind = value->node()->kind();
    if (kind == c10::prim::Constant) {
        list(out, torch::jit::toIValue(value).value());
    } else if (kind == c10::prim::ListConstruct) {
        const char *between = "";
        out << '[';
        for (const Value *item : value->node()->inputs()) {
            out << between;
            list(out, item);
            between = ",";
        }
        out << ']';
    } else if (kind == c10::prim::GetAttr) {
        out << "{\"weight\":\"" << path(value) << "\"}";
    } else {
        out << "{\"value\":" << value->unique() << '}';
    }
}

// An operator in one line of JSON, with its result's shape on the traced inputs.
void list(std::ostream &out, const Node *node) {
    out << "{\"op\":\"" << node->kind().toQualString() << "\",\"arguments\":[";
    const char *between = "";
    for (const Value *input : node->inputs()) {
        out << between;
        list(out, input);
        between = ",";
    }
    out << "],\"result\":" << node->output()->unique() << ",\"shape\":[";
    const auto type = node->output()->type()->cast<c10::TensorType>();
    const auto sizes = type ? type->sizes().concrete_sizes() : std::nullopt;
    between = "";
    for (int64_t size : sizes.value_or(std::vector<int64_t>())) {
        out << between << size;
        between = ",";
    }
    out << "]}\n";
}

void give(const std::string &text, Sink sink, void *context) { sink(context, text.data(), text.size()); }

} // namespace

extern "C" {

// Traces `forward` on `inputs`. Both they and `weights` must be the very tensors that it uses.
char *translate_trace(Module **out, const char **names, at::Tensor **weights, size_t weight_count,
                      const char **input_names, at::Tensor **inputs, size_t input_count, Forward forward,
                      void *context) {
    return guarded([&] {
        const auto unit = std::make_shared<torch::jit::CompilationUnit>();
        Module module = empty("__torch__.translate.Generator", unit);
        for (size_t i = 0; i < weight_count; i++) add(module, names[i], *weights[i]);
        torch::jit::Stack stack;
        std::vector<std::string> arguments;
        for (size_t i = 0; i < input_count; i++) {
            stack.emplace_back(*inputs[i]);
            arguments.emplace_back(input_names[i]);
        }
        const auto call = [&](const torch::jit::Stack &) -> torch::jit::Stack {
            std::unique_ptr<at::Tensor> result(forward(context));
            if (!result) throw std::runtime_error("the network failed");
            return {*result};
        };
        const auto traced = torch::jit::tracer::trace(stack, call, [](const at::Tensor &) { return ""; },
                                                      /*strict=*/true, /*force_outplace=*/false, &module, arguments);
        const c10::QualifiedName name(*module.type()->name(), "forward");
        module.type()->addMethod(unit->create_function(name, traced.first->graph));
        *out = new Module(module);
    });
}

void translate_program_free(Module *program) { delete program; }

// The program's file, as `torch.jit.load` takes it.
char *translate_program_save(const Module *program, Sink sink, void *context) {
    return guarded([&] {
        std::ostringstream out;
        program->save(out);
        give(out.str(), sink, context);
    });
}

// The program's operators in their order, one JSON object a line; first `inputs` and last `outputs`, the numbers of its
// arguments and results.
char *translate_program_list(const Module *program, Sink sink, void *context) {
    return guarded([&] {
        const auto graph = program->get_method("forward").graph();
        std::ostringstream out;
        out.precision(17);
        out << "{\"op\":\"inputs\",\"arguments\":[";
        // The first one is the module itself.
        for (size_t i = 1; i < graph->inputs().size(); i++) {
            out << (i > 1 ? "," : "");
            list(out, graph->inputs()[i]);
        }
        out << "]}\n";
        for (const Node *node : graph->nodes()) {
            const auto kind = node->kind();
            if (kind != c10::prim::Constant && kind != c10::prim::ListConstruct && kind != c10::prim::GetAttr)
                list(out, node);
        }
        out << "{\"op\":\"outputs\",\"arguments\":[";
        list(out, graph->outputs().at(0));
        out << "]}\n";
        give(out.str(), sink, context);
    });
}

// Tensors by name as `torch.save` writes a state dict, in its zip form. `torch::pickle_save` would add the dictionary's
// type, a name that PyTorch does not look up where only weights are to be loaded.
char *translate_pickle(const char **names, at::Tensor **tensors, size_t count, Sink sink, void *context) {
    return guarded([&] {
        c10::Dict<std::string, at::Tensor> state;
        for (size_t i = 0; i < count; i++) state.insert(names[i], tensors[i]->detach().contiguous());
        std::string pickle;
        const auto append = [&](const char *bytes, size_t count) { pickle.append(bytes, count); };
        torch::jit::Pickler pickler(append, /*tensor_table=*/nullptr, /*type_renamer=*/nullptr,
                                    /*memoized_class_types=*/nullptr, /*get_tensor_id=*/nullptr,
                                    /*tag_aggregates=*/false);
        pickler.protocol();
        pickler.pushIValue(state);
        pickler.stop();
        caffe2::serialize::PyTorchStreamWriter writer([&](const void *bytes, size_t count) {
            sink(context, static_cast<const char *>(bytes), count);
            return count;
        });
        writer.writeRecord("data.pkl", pickle.data(), pickle.size());
        size_t i = 0;
        for (const at::Tensor &tensor : pickler.tensorData()) {
            const auto data = torch::jit::getWriteableTensorData(tensor);
            writer.writeRecord("data/" + std::to_string(i++), data.data(), data.sizeInBytes());
        }
        writer.writeEndOfFile();
    });
}

} // extern "C"
