//! Exponential and logarithm in f32, without branches and without calls, so that loops over them vectorise.

/// `eˣ` within two units in the last place, for arguments clamped to ±87.
///
/// `x = k ln 2 + r` with `|r| ≤ ½ ln 2`; a polynomial for `eʳ`, and `2ᵏ` by writing the exponent's bits.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2²³ leaves the nearest integer in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts: the first has few bits, so that `k` times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = x - k * LN_2_HIGH - k * LN_2_LOW;
    // Taylor coefficients; the first term left out is below 6e-9.
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}

/// `ln(1 + u)` for `u` in [0, 1]: `2 artanh s` with `s = u / (2 + u) ≤ 1/3`, whose series is cut below 2e-9.
#[inline(always)]
pub(crate) fn ln_1p(u: f32) -> f32 {
    let s = u / (2.0 + u);
    let square = s * s;
    let mut p = 1.0 / 15.0;
    for c in [1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        p = p * square + c;
    }
    2.0 * s * p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_right_to_two_units_in_the_last_place() {
        for i in -86_000..86_000 {
            let x = i as f32 * 1e-3;
            let wanted = f64::from(x).exp();
            let error = (f64::from(exp(x)) - wanted).abs() / wanted;
            assert!(error < 2.4e-7, "exp({x}): relative error {error}");
        }
    }
}
