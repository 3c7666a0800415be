//! Between bytes `[batch, height, width, 3]` and the networks' images `[batch, 3, height, width]` in [-1, 1].

use image::RgbImage;
use tch::{Device, Kind, Tensor};

use crate::torch::upload;

/// Bytes to images in [-1, 1] on `device`: v / 127.5 − 1, which is (v / 255 − 0.5) / 0.5.
pub fn from_bytes(bytes: &[u8], batch: usize, height: u32, width: u32, device: Device) -> Tensor {
    let shape = [batch as i64, i64::from(height), i64::from(width), 3];
    let tensor = upload(Tensor::from_slice(bytes).reshape(shape), device);
    (tensor.permute([0, 3, 1, 2]).to_kind(Kind::Float) / 127.5 - 1.0).contiguous()
}

/// Images in [-1, 1] to bytes, rounded; values outside are cut off.
pub fn to_bytes(images: &Tensor) -> Vec<u8> {
    let bytes = ((images.detach() + 1.0) * 127.5).round().clamp(0.0, 255.0).to_kind(Kind::Uint8);
    let bytes = bytes.permute([0, 2, 3, 1]).contiguous().to_device(Device::Cpu);
    let mut out = vec![0; bytes.numel()];
    bytes.copy_data_u8(&mut out, bytes.numel());
    out
}

/// Images in [-1, 1] to pictures.
pub fn to_images(images: &Tensor) -> Vec<RgbImage> {
    let (_, _, height, width) = images.size4().unwrap_or_default();
    let bytes = to_bytes(images);
    let one = (height * width * 3).max(1) as usize;
    bytes
        .chunks(one)
        .filter_map(|one| RgbImage::from_raw(width as u32, height as u32, one.to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back_from_its_place() {
        let bytes: Vec<u8> = (0..=255).collect::<Vec<u8>>().repeat(3);
        let tensor = from_bytes(&bytes, 2, 8, 16, Device::Cpu);
        assert_eq!(tensor.size(), [2, 3, 8, 16]);
        assert_eq!(to_bytes(&tensor), bytes);
        // Second image, row 1, column 2, blue.
        let index = (((8 + 1) * 16) + 2) * 3 + 2;
        let expected = (f64::from(bytes[index]) / 255.0 - 0.5) / 0.5;
        assert!((tensor.double_value(&[1, 2, 1, 2]) - expected).abs() < 1e-6);
    }

    #[test]
    fn values_outside_are_cut_off() {
        let tensor = Tensor::from_slice(&[-3.0f32, 0.0, 3.0]).reshape([1, 3, 1, 1]);
        assert_eq!(to_bytes(&tensor), [0, 128, 255]);
    }
}
