//! The safe side of `shim.cpp`.

use std::ffi::{CStr, c_char, c_void};

use tch::{TchError, Tensor};
use torch_sys::C_tensor;

/// Takes the bytes of a result.
pub(super) type Sink = extern "C" fn(*mut c_void, *const c_char, usize);

unsafe extern "C" {
    fn translate_free(message: *mut c_char);
    fn translate_torch_version() -> *const c_char;
    fn translate_fused_adam(
        params: *const *mut C_tensor,
        grads: *const *mut C_tensor,
        exp_avgs: *const *mut C_tensor,
        exp_avg_sqs: *const *mut C_tensor,
        steps: *const *mut C_tensor,
        count: usize,
        lr: *mut C_tensor,
        beta1: f64,
        beta2: f64,
        eps: f64,
    ) -> *mut c_char;
    fn translate_lerp(
        averages: *const *mut C_tensor,
        tensors: *const *mut C_tensor,
        count: usize,
        weight: f64,
    ) -> *mut c_char;
    fn translate_leaky_relu(out: *mut *mut C_tensor, xs: *mut C_tensor, slope: f64) -> *mut c_char;
}

/// Takes over the message of a failed call.
pub(super) fn checked(message: *mut c_char) -> Result<(), TchError> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: a message that is not null is a NUL-terminated string which strdup made for us alone.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
    // SAFETY: as above, and the text has been copied.
    unsafe { translate_free(message) };
    Err(TchError::Torch(text))
}

/// The tensor that `call` makes.
pub(super) fn made(call: impl FnOnce(*mut *mut C_tensor) -> *mut c_char) -> Result<Tensor, TchError> {
    let mut out = std::ptr::null_mut();
    checked(call(&raw mut out))?;
    // SAFETY: on success `out` is a new tensor that is ours.
    Ok(unsafe { Tensor::from_ptr(out) })
}

/// The tensor as the other side takes it.
pub(super) fn raw(tensor: &Tensor) -> *mut C_tensor {
    tensor.as_ptr().cast_mut()
}

/// What a call made; where libtorch fails it panics, as tch's plain methods do.
pub(super) fn or_panic(result: Result<Tensor, TchError>) -> Tensor {
    result.unwrap_or_else(|error| std::panic::panic_any(error.to_string()))
}

pub(super) fn pointers(tensors: &[Tensor]) -> Vec<*mut C_tensor> {
    tensors.iter().map(raw).collect()
}

/// A [`Sink`] into the vector of [`collected`].
pub(super) extern "C" fn append(context: *mut c_void, bytes: *const c_char, count: usize) {
    // SAFETY: `collected` passes its own vector, and the other side the bytes that it says.
    let (all, new) =
        unsafe { (&mut *context.cast::<Vec<u8>>(), std::slice::from_raw_parts(bytes.cast::<u8>(), count)) };
    all.extend_from_slice(new);
}

/// The bytes that `call` writes.
pub(super) fn collected(call: impl FnOnce(*mut c_void) -> *mut c_char) -> Result<Vec<u8>, TchError> {
    let mut bytes = Vec::<u8>::new();
    checked(call((&raw mut bytes).cast()))?;
    Ok(bytes)
}

/// The version of the libtorch that the program was built against, as in `2.11.0+cu130`.
pub fn version() -> String {
    // SAFETY: the string is a constant of the program.
    unsafe { CStr::from_ptr(translate_torch_version()) }.to_string_lossy().into_owned()
}

/// Adam's numbers for one update.
#[derive(Debug, Clone, Copy)]
pub struct AdamRates<'a> {
    /// Learning rate, a scalar; on a GPU float32 there, which it reads for itself.
    pub lr: &'a Tensor,
    /// Decay rates of the first and second moments.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
}

/// One Adam update (Kingma & Ba 2015) of all `params` in one call, in place. All five slices have the same length
/// and, tensor by tensor, the same shapes; the moments lie in memory as their parameters do, gradients as they like.
/// `steps` are float32 scalars, which count this update.
///
/// # Errors
/// libtorch's, for instance where shapes or devices differ.
pub fn fused_adam(
    params: &[Tensor],
    grads: &[Tensor],
    exp_avgs: &[Tensor],
    exp_avg_sqs: &[Tensor],
    steps: &[Tensor],
    rates: AdamRates<'_>,
) -> Result<(), TchError> {
    let count = params.len();
    if [grads.len(), exp_avgs.len(), exp_avg_sqs.len(), steps.len()].iter().any(|&len| len != count) {
        return Err(TchError::Shape(format!(
            "fused Adam needs as many gradients, moments and steps as its {count} parameters"
        )));
    }
    let [params, grads, exp_avgs, exp_avg_sqs, steps] =
        [params, grads, exp_avgs, exp_avg_sqs, steps].map(pointers);
    // SAFETY: every list holds `count` live tensors, which the call only borrows.
    checked(unsafe {
        translate_fused_adam(
            params.as_ptr(),
            grads.as_ptr(),
            exp_avgs.as_ptr(),
            exp_avg_sqs.as_ptr(),
            steps.as_ptr(),
            count,
            raw(rates.lr),
            rates.betas[0],
            rates.betas[1],
            rates.eps,
        )
    })
}

/// Brings each of `averages` by `weight` of the way towards the tensor of the same place, in place and in one call.
///
/// # Errors
/// libtorch's, for instance where shapes differ.
pub fn lerp(averages: &[Tensor], tensors: &[Tensor], weight: f64) -> Result<(), TchError> {
    let count = averages.len();
    if tensors.len() != count {
        return Err(TchError::Shape(format!("{count} averages, but {} tensors", tensors.len())));
    }
    let [averages, tensors] = [averages, tensors].map(pointers);
    // SAFETY: both lists hold `count` live tensors, which the call only borrows.
    checked(unsafe { translate_lerp(averages.as_ptr(), tensors.as_ptr(), count, weight) })
}

/// max(x, slope·x) for a slope from 0 to 1; any shape.
///
/// # Panics
/// Where libtorch fails, as tch's own plain methods do; see [`super::guard`].
pub fn leaky_relu(xs: &Tensor, slope: f64) -> Tensor {
    // SAFETY: `xs` lives through the call.
    or_panic(made(|out| unsafe { translate_leaky_relu(out, raw(xs), slope) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adam_by_hand() {
        // After one update from zero moments both corrections cancel: p - lr·g / (|g| + eps).
        let params = [Tensor::from_slice(&[1.0f32, -2.0])];
        let grads = [Tensor::from_slice(&[0.5f32, -4.0])];
        let zeros = || [Tensor::from_slice(&[0.0f32, 0.0])];
        let (m, v, steps) = (zeros(), zeros(), [Tensor::from(0.0f32)]);
        fused_adam(
            &params,
            &grads,
            &m,
            &v,
            &steps,
            AdamRates { lr: &Tensor::from(0.1), betas: [0.5, 0.999], eps: 1e-8 },
        )
        .unwrap();
        let after: Vec<f32> = (&params[0]).try_into().unwrap();
        assert!((after[0] - 0.9).abs() < 1e-6 && (after[1] + 1.9).abs() < 1e-6, "{after:?}");
        let first: Vec<f32> = (&m[0]).try_into().unwrap();
        assert!((first[0] - 0.25).abs() < 1e-6 && (first[1] + 2.0).abs() < 1e-6, "{first:?}");
    }

    #[test]
    fn adam_takes_gradients_of_any_memory_order() {
        let update = |grad: Tensor| {
            let zeros = || [Tensor::zeros([2, 3], (tch::Kind::Float, tch::Device::Cpu))];
            let (params, m, v, steps) = (zeros(), zeros(), zeros(), [Tensor::from(0.0f32)]);
            let lr = Tensor::from(0.1);
            let rates = AdamRates { lr: &lr, betas: [0.5, 0.999], eps: 1.0 };
            fused_adam(&params, &[grad], &m, &v, &steps, rates).unwrap();
            let [m, params] = [m, params].map(|[tensor]| Vec::<f32>::try_from(tensor.flatten(0, 1)).unwrap());
            (m, params)
        };
        let straight = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).reshape([2, 3]);
        let transposed = straight.tr().contiguous().tr();
        assert!(!transposed.is_contiguous());
        let (m, params) = update(transposed);
        assert_eq!(m, [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(params, update(straight).1);
    }

    #[test]
    fn a_failure_comes_back_as_an_error() {
        let (a, b) = ([Tensor::from_slice(&[1.0f32])], [Tensor::from_slice(&[1.0f32, 2.0])]);
        let lr = Tensor::from(0.1);
        let rates = AdamRates { lr: &lr, betas: [0.5, 0.999], eps: 1e-8 };
        let steps = [Tensor::from(0.0f32)];
        assert!(fused_adam(&a, &[], &a, &a, &steps, rates).is_err());
        let half = [Tensor::from_slice(&[1.0f32]).to_kind(tch::Kind::Int64)];
        assert!(fused_adam(&half, &b, &a, &a, &steps, rates).is_err());
    }

    #[test]
    fn leaky_relu_by_hand() {
        let out: Vec<f32> = (&leaky_relu(&Tensor::from_slice(&[-1.0f32, 0.0, 2.0]), 0.2)).try_into().unwrap();
        assert_eq!(out, [-0.2, 0.0, 2.0]);
    }
}
