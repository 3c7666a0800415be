//! A traced network's operators as ONNX nodes, one by one. There are few: what `src/nets` is made of.

use std::collections::{HashMap, HashSet};

use tch::{Kind, Tensor};

use super::listing::{Argument, Line};
use super::proto::{AttributeProto, FLOAT, GraphProto, INT64, NodeProto, TensorProto};
use crate::model::export::ExportError;

/// A node: its operator, the names of its inputs, and its constants.
type Operator = (&'static str, Vec<String>, Vec<AttributeProto>);

/// A graph that grows.
pub(super) struct Builder<'a> {
    graph: GraphProto,
    weights: &'a HashMap<String, Tensor>,
    /// Names of what operators gave, by number.
    names: HashMap<i64, String>,
    /// Shapes of the same on the inputs of the trace.
    shapes: HashMap<i64, Vec<i64>>,
    /// Names of constants that the graph has.
    constants: HashSet<String>,
}

impl<'a> Builder<'a> {
    /// An empty graph of a network with these weights.
    pub fn new(weights: &'a HashMap<String, Tensor>) -> Self {
        let (graph, names, shapes, constants) = Default::default();
        Self { graph, weights, names, shapes, constants }
    }

    /// The graph, in which the values `inputs` and `output` have these names.
    pub fn build(mut self, lines: &[Line], inputs: &[&str], output: &str) -> Result<GraphProto, ExportError> {
        let results = lines.last().filter(|line| line.op == "outputs");
        let result = results.and_then(|line| line.arguments.first());
        for line in lines {
            match line.op.as_str() {
                "inputs" => {
                    for (argument, name) in line.arguments.iter().zip(inputs) {
                        let Argument::Value { value } = argument else { return Err(line.unknown()) };
                        self.names.insert(*value, (*name).to_string());
                    }
                }
                "outputs" => {}
                _ => {
                    let is_result =
                        matches!(result, Some(Argument::Value { value }) if *value == line.result);
                    let name = if is_result { output.into() } else { format!("v{}", line.result) };
                    self.names.insert(line.result, name);
                    self.shapes.insert(line.result, line.shape.clone());
                    let (op, inputs, attributes) = self.operator(line)?;
                    self.node(line, op, inputs, attributes);
                }
            }
        }
        Ok(self.graph)
    }

    /// One operator; the meaning and order of its arguments is that of `PyTorch`'s `native_functions.yaml`.
    fn operator(&mut self, line: &Line) -> Result<Operator, ExportError> {
        match line.op.as_str() {
            "aten::_convolution" => self.convolution(line),
            "aten::instance_norm" => self.instance_norm(line),
            "aten::batch_norm" => self.batch_norm(line),
            "aten::reflection_pad2d" => self.pad(line, "reflect"),
            "aten::replication_pad2d" => self.pad(line, "edge"),
            "aten::upsample_nearest2d" => self.nearest(line),
            "aten::slice" => self.slice(line),
            "aten::relu" | "aten::relu_" => self.unary(line, "Relu", vec![]),
            "aten::leaky_relu" => {
                let slope = AttributeProto::float("alpha", line.float(1)?);
                self.unary(line, "LeakyRelu", vec![slope])
            }
            "aten::tanh" => self.unary(line, "Tanh", vec![]),
            // Nothing is dropped when a network is applied.
            "aten::dropout" if !line.bool(2)? => self.unary(line, "Identity", vec![]),
            "aten::add" if (line.float(2)? - 1.0).abs() < f64::EPSILON => {
                Ok(("Add", vec![self.value(line, 0)?, self.value(line, 1)?], vec![]))
            }
            "aten::div" => Ok(("Div", vec![self.value(line, 0)?, self.number(line.float(1)?)], vec![])),
            "aten::cat" => {
                let parts =
                    line.list(0)?.iter().map(|part| self.name(line, part)).collect::<Result<_, _>>()?;
                Ok(("Concat", parts, vec![AttributeProto::int("axis", line.int(1)?)]))
            }
            "aten::unsqueeze" => {
                Ok(("Unsqueeze", vec![self.value(line, 0)?, self.ints(&[line.int(1)?])], vec![]))
            }
            "aten::reshape" => Ok(("Reshape", vec![self.value(line, 0)?, self.ints(&line.ints(1)?)], vec![])),
            "aten::linear" => {
                let inputs = [0, 1, 2].map(|i| self.value(line, i)).into_iter().collect::<Result<_, _>>()?;
                Ok(("Gemm", inputs, vec![AttributeProto::int("transB", 1)]))
            }
            "aten::embedding" => Ok(("Gather", vec![self.value(line, 0)?, self.value(line, 1)?], vec![])),
            _ => Err(line.unknown()),
        }
    }

    /// input, weight, bias, stride, padding, dilation, transposed, `output_padding`, groups
    fn convolution(&mut self, line: &Line) -> Result<Operator, ExportError> {
        let mut inputs = vec![self.value(line, 0)?, self.value(line, 1)?];
        if !line.is_none(2) {
            inputs.push(self.value(line, 2)?);
        }
        let padding = line.ints(4)?;
        let mut attributes = vec![
            AttributeProto::ints("strides", &line.ints(3)?),
            AttributeProto::ints("pads", &[padding.clone(), padding].concat()),
            AttributeProto::ints("dilations", &line.ints(5)?),
            AttributeProto::int("group", line.int(8)?),
        ];
        let op = if line.bool(6)? {
            attributes.push(AttributeProto::ints("output_padding", &line.ints(7)?));
            "ConvTranspose"
        } else {
            "Conv"
        };
        Ok((op, inputs, attributes))
    }

    /// input, weight, bias, `running_mean`, `running_var`, `use_input_stats`, momentum, eps
    fn instance_norm(&mut self, line: &Line) -> Result<Operator, ExportError> {
        let channels = *line.shape.get(1).ok_or_else(|| line.unknown())?;
        if !line.bool(5)? {
            return Err(line.unknown());
        }
        // ONNX has it with a scale and a shift only.
        let [scale, shift] = [(1, 1.0f32), (2, 0.0)].map(|(i, neutral)| {
            if !line.is_none(i) {
                return self.value(line, i);
            }
            let values = vec![neutral; channels as usize];
            Ok(self.constant(format!("{neutral}_of_{channels}"), &Tensor::from_slice(&values)))
        });
        let inputs = vec![self.value(line, 0)?, scale?, shift?];
        Ok(("InstanceNormalization", inputs, vec![AttributeProto::float("epsilon", line.float(7)?)]))
    }

    /// input, weight, bias, `running_mean`, `running_var`, training, momentum, eps
    fn batch_norm(&mut self, line: &Line) -> Result<Operator, ExportError> {
        if line.bool(5)? {
            return Err(line.unknown());
        }
        let inputs = (0..5).map(|i| self.value(line, i)).collect::<Result<_, _>>()?;
        let epsilon = AttributeProto::float("epsilon", line.float(7)?);
        Ok(("BatchNormalization", inputs, vec![epsilon]))
    }

    /// input, padding: left, right, top, bottom
    fn pad(&mut self, line: &Line, mode: &str) -> Result<Operator, ExportError> {
        let [left, right, top, bottom] = line.ints(1)?[..] else { return Err(line.unknown()) };
        // ONNX wants the beginnings of all dimensions, then the ends.
        let inputs = vec![self.value(line, 0)?, self.ints(&[0, 0, top, left, 0, 0, bottom, right])];
        Ok(("Pad", inputs, vec![AttributeProto::text("mode", mode)]))
    }

    /// input, `output_size`, `scale_factors`
    fn nearest(&mut self, line: &Line) -> Result<Operator, ExportError> {
        let [height, width] = line.floats(2)?[..] else { return Err(line.unknown()) };
        let name = format!("times_{height}_{width}");
        let scales = self.constant(name, &Tensor::from_slice(&[1.0, 1.0, height as f32, width as f32]));
        // The second input is for another mode.
        let inputs = vec![self.value(line, 0)?, String::new(), scales];
        let attributes = vec![
            AttributeProto::text("mode", "nearest"),
            AttributeProto::text("coordinate_transformation_mode", "asymmetric"),
            AttributeProto::text("nearest_mode", "floor"),
        ];
        Ok(("Resize", inputs, attributes))
    }

    /// input, dim, start, end, step
    fn slice(&mut self, line: &Line) -> Result<Operator, ExportError> {
        let [dim, start, end, step] = [1, 2, 3, 4].map(|i| line.int(i));
        let [starts, ends, axes, steps] = [start?, end?, dim?, step?].map(|value| self.ints(&[value]));
        let inputs = vec![self.value(line, 0)?, starts, ends, axes, steps];
        Ok(("Slice", inputs, vec![]))
    }

    /// An operator of one value.
    fn unary(
        &mut self,
        line: &Line,
        op: &'static str,
        attributes: Vec<AttributeProto>,
    ) -> Result<Operator, ExportError> {
        let inputs = vec![self.value(line, 0)?];
        Ok((op, inputs, attributes))
    }

    /// Adds the node that gives the line's result.
    fn node(&mut self, line: &Line, op: &str, input: Vec<String>, attribute: Vec<AttributeProto>) {
        let output = vec![self.names.get(&line.result).cloned().unwrap_or_default()];
        let name = format!("{op}_{}", line.result);
        self.graph.node.push(NodeProto { input, output, name, op_type: op.into(), attribute });
    }

    /// The name of argument `i`, which is a value or a weight.
    fn value(&mut self, line: &Line, i: usize) -> Result<String, ExportError> {
        let argument = line.arguments.get(i).ok_or_else(|| line.unknown())?;
        self.name(line, argument)
    }

    fn name(&mut self, line: &Line, argument: &Argument) -> Result<String, ExportError> {
        let found = match argument {
            Argument::Value { value } => self.names.get(value).cloned(),
            Argument::Weight { weight } => {
                let weights = self.weights;
                weights.get(weight).map(|tensor| self.constant(weight.clone(), tensor))
            }
            _ => None,
        };
        found.ok_or_else(|| line.unknown())
    }

    /// The name of a constant of these whole numbers.
    fn ints(&mut self, values: &[i64]) -> String {
        let name = values.iter().fold("ints".to_string(), |name, value| format!("{name}_{value}"));
        self.constant(name, &Tensor::from_slice(values))
    }

    /// The name of a constant of this number.
    fn number(&mut self, value: f64) -> String {
        self.constant(format!("number_{value}"), &Tensor::from(value as f32))
    }

    /// The name itself, under which the graph has these numbers then.
    fn constant(&mut self, name: String, tensor: &Tensor) -> String {
        if self.constants.insert(name.clone()) {
            self.graph.initializer.push(initializer(name.clone(), tensor));
        }
        name
    }
}

/// Numbers under a name: int64, or as float32.
fn initializer(name: String, tensor: &Tensor) -> TensorProto {
    let is_int = tensor.kind() == Kind::Int64;
    let (kind, data_type) = if is_int { (Kind::Int64, INT64) } else { (Kind::Float, FLOAT) };
    let tensor = tensor.detach().to_kind(kind).contiguous();
    let mut bytes = vec![0; tensor.numel() * kind.elt_size_in_bytes()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    TensorProto { dims: tensor.size(), data_type, name, raw_data: Some(bytes) }
}

#[cfg(test)]
mod tests {
    use super::super::listing::parse;
    use super::*;

    fn build(operator: &str) -> Result<GraphProto, ExportError> {
        let listing = format!(
            r#"{{"op":"inputs","arguments":[{{"value":1}}]}}
{operator}
{{"op":"outputs","arguments":[{{"value":2}}]}}"#
        );
        Builder::new(&HashMap::new()).build(&parse(&listing).unwrap(), &["in"], "out")
    }

    #[test]
    fn padding_begins_before_all_dimensions_and_ends_after_them() {
        let operator = r#"{"op":"aten::reflection_pad2d","arguments":[{"value":1},[1,2,3,4]],"result":2,"shape":[1,1,9,9]}"#;
        let graph = build(operator).unwrap();
        let node = &graph.node[0];
        assert_eq!((node.op_type.as_str(), &node.output[..]), ("Pad", &["out".to_string()][..]));
        assert_eq!(node.input, ["in", "ints_0_0_3_1_0_0_4_2"]);
        let numbers: Vec<u8> = [0i64, 0, 3, 1, 0, 0, 4, 2].iter().flat_map(|n| n.to_le_bytes()).collect();
        assert_eq!(graph.initializer[0].raw_data.as_ref(), Some(&numbers));
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (operator, name) in [
            (r#"{"op":"aten::erf","arguments":[{"value":1}],"result":2}"#, "aten::erf"),
            // Twice the second summand, and one that no operator gives.
            (r#"{"op":"aten::add","arguments":[{"value":1},{"value":1},2],"result":2}"#, "aten::add"),
            (r#"{"op":"aten::add","arguments":[{"value":1},{"value":7},1],"result":2}"#, "aten::add"),
            (r#"{"op":"aten::dropout","arguments":[{"value":1},0.5,true],"result":2}"#, "aten::dropout"),
            (r#"{"op":"aten::relu","arguments":[{"weight":"none"}],"result":2}"#, "aten::relu"),
        ] {
            let error = build(operator).unwrap_err().to_string();
            assert!(error.contains(&format!("the operator `{name}`")), "{error}");
        }
    }
}
