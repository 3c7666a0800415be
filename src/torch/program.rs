//! The safe side of `program.cpp`: a network as a `TorchScript` program.

use std::ffi::{CString, c_char, c_void};
use std::ptr::NonNull;

use tch::{TchError, Tensor};
use torch_sys::C_tensor;

use super::shim::{Sink, append, checked, collected, pointers};
use crate::panics::catch;

/// A `torch::jit::Module`.
#[repr(C)]
struct CProgram {
    _private: [u8; 0],
}

type Forward = extern "C" fn(*mut c_void) -> *mut C_tensor;

unsafe extern "C" {
    fn translate_trace(
        out: *mut *mut CProgram,
        names: *const *const c_char,
        weights: *const *mut C_tensor,
        weight_count: usize,
        input_names: *const *const c_char,
        inputs: *const *mut C_tensor,
        input_count: usize,
        forward: Forward,
        context: *mut c_void,
    ) -> *mut c_char;
    fn translate_program_free(program: *mut CProgram);
    fn translate_program_save(program: *const CProgram, sink: Sink, context: *mut c_void) -> *mut c_char;
    fn translate_program_list(program: *const CProgram, sink: Sink, context: *mut c_void) -> *mut c_char;
    fn translate_pickle(
        names: *const *const c_char,
        tensors: *const *mut C_tensor,
        count: usize,
        sink: Sink,
        context: *mut c_void,
    ) -> *mut c_char;
}

/// A traced network with its weights.
#[derive(Debug)]
pub struct Program(NonNull<CProgram>);

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `translate_trace` and is freed here alone.
        unsafe { translate_program_free(self.0.as_ptr()) };
    }
}

/// What a trace calls back, and the message of its panic.
struct Traced<'a> {
    forward: &'a mut dyn FnMut() -> Tensor,
    panic: Option<String>,
}

extern "C" fn forward(context: *mut c_void) -> *mut C_tensor {
    // SAFETY: `Program::trace` passes its own `Traced`, which outlives the call and which nothing else uses meanwhile.
    let traced = unsafe { &mut *context.cast::<Traced>() };
    match catch(|| (traced.forward)()) {
        Ok(result) => {
            let pointer = result.as_ptr().cast_mut();
            // The other side deletes it.
            std::mem::forget(result);
            pointer
        }
        Err(text) => {
            traced.panic = Some(text);
            std::ptr::null_mut()
        }
    }
}

fn split(tensors: &[(String, Tensor)]) -> Result<(Vec<CString>, Vec<Tensor>), TchError> {
    let name = |(name, _): &(String, Tensor)| {
        CString::new(name.as_str()).map_err(|_| TchError::Convert(format!("`{name}` has a zero byte in it")))
    };
    let names = tensors.iter().map(name).collect::<Result<Vec<_>, _>>()?;
    Ok((names, tensors.iter().map(|(_, tensor)| tensor.shallow_clone()).collect()))
}

fn starts(names: &[CString]) -> Vec<*const c_char> {
    names.iter().map(|name| name.as_ptr()).collect()
}

impl Program {
    /// Records what `network` does. `weights` and `inputs`, each with its name, are the very tensors that it uses; all else
    /// becomes a constant.
    ///
    /// # Errors
    /// libtorch's, or that of a panic in `network`.
    pub fn trace(
        weights: &[(String, Tensor)],
        inputs: &[(String, Tensor)],
        network: &mut dyn FnMut() -> Tensor,
    ) -> Result<Self, TchError> {
        let ((names, weights), (input_names, inputs)) = (split(weights)?, split(inputs)?);
        let mut traced = Traced { forward: network, panic: None };
        let mut out = std::ptr::null_mut();
        // SAFETY: every list holds as many live names and tensors as its count says, which the call only borrows, and the
        // context is what `forward` expects.
        let message = unsafe {
            translate_trace(
                &raw mut out,
                starts(&names).as_ptr(),
                pointers(&weights).as_ptr(),
                weights.len(),
                starts(&input_names).as_ptr(),
                pointers(&inputs).as_ptr(),
                inputs.len(),
                forward,
                (&raw mut traced).cast(),
            )
        };
        let result = checked(message);
        if let Some(text) = traced.panic {
            return Err(TchError::Torch(text));
        }
        result?;
        NonNull::new(out).map(Self).ok_or_else(|| TchError::Torch("tracing gave no program".into()))
    }

    /// The program's file, as `torch.jit.load` takes it.
    ///
    /// # Errors
    /// libtorch's.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TchError> {
        // SAFETY: the program lives, and the context is what `append` expects.
        collected(|context| unsafe { translate_program_save(self.0.as_ptr(), append, context) })
    }

    /// The program's operators, one JSON object a line: `op`, `arguments` (constants, lists, `{"weight": name}`,
    /// `{"value": number}`), the `result`'s number and its `shape` on the traced inputs. The first line is `inputs`, the
    /// last `outputs`.
    ///
    /// # Errors
    /// libtorch's, or an operator with a constant that no network here has.
    pub fn listing(&self) -> Result<String, TchError> {
        // SAFETY: as above.
        let bytes = collected(|context| unsafe { translate_program_list(self.0.as_ptr(), append, context) })?;
        String::from_utf8(bytes).map_err(|error| TchError::Convert(error.to_string()))
    }
}

/// Tensors by name as `torch.save` writes a state dict, in its zip form.
///
/// # Errors
/// libtorch's.
pub fn pickle(tensors: &[(String, Tensor)]) -> Result<Vec<u8>, TchError> {
    let (names, tensors) = split(tensors)?;
    let (starts, pointers) = (starts(&names), pointers(&tensors));
    // SAFETY: both lists hold as many live names and tensors as the count says, which the call only borrows.
    collected(|context| unsafe {
        translate_pickle(starts.as_ptr(), pointers.as_ptr(), tensors.len(), append, context)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn named(name: &str, tensor: &Tensor) -> (String, Tensor) {
        (name.to_string(), tensor.shallow_clone())
    }

    #[test]
    fn a_program_holds_its_weights_and_takes_other_sizes() {
        let weight = Tensor::from_slice(&[2.0f32]).set_requires_grad(true);
        let xs = Tensor::from_slice(&[1.0f32, 3.0]);
        let network = || tch::no_grad(|| (&xs * &weight).relu());
        let program =
            Program::trace(&[named("a.0.w", &weight)], &[named("xs", &xs)], &mut { network }).unwrap();
        let listing = program.listing().unwrap();
        println!("{listing}");
        assert!(listing.contains(r#"{"op":"aten::mul","arguments":[{"value":"#), "{listing}");
        assert!(listing.contains(r#"{"weight":"a.0.w"}]"#), "{listing}");
        let loaded = tch::CModule::load_data(&mut std::io::Cursor::new(program.to_bytes().unwrap())).unwrap();
        let ys = loaded.forward_ts(&[Tensor::from_slice(&[-1.0f32, 0.5, 4.0])]).unwrap();
        assert_eq!(Vec::<f32>::try_from(ys).unwrap(), [0.0, 1.0, 8.0]);
        assert_eq!(loaded.named_parameters().unwrap()[0].0, "a.0.w");
    }

    #[test]
    fn a_panic_inside_comes_back_as_an_error() {
        let xs = Tensor::zeros([2], (Kind::Float, Device::Cpu));
        let error = Program::trace(&[], &[named("xs", &xs)], &mut || panic!("no way")).unwrap_err();
        assert!(error.to_string().contains("no way"), "{error}");
    }
}
