//! Short marks by which a run knows its data again.

/// Sixteen hexadecimal digits: FNV-1a (64 bits) over `parts`, each of which its definition takes to be a byte.
pub fn fingerprint(parts: impl Iterator<Item = u64>) -> String {
    let hash =
        parts.fold(0xcbf2_9ce4_8422_2325_u64, |hash, part| (hash ^ part).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
