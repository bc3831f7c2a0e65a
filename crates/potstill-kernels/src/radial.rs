//! Constants of radial bases, as published networks have them.

/// Evenly spaced f32 values by PyTorch's rule: counted from the nearer end. `n` is at least 2.
pub fn linspace(start: f32, stop: f32, n: usize) -> Vec<f32> {
    let step = (stop - start) / (n - 1) as f32;
    (0..n)
        .map(|i| if i < n / 2 { step.mul_add(i as f32, start) } else { step.mul_add(-((n - 1 - i) as f32), stop) })
        .collect()
}

/// `ln C(m, k)` for `k = 0 … m`: the binomial coefficients of a hundred functions overflow f32.
pub fn log_binomials(m: usize) -> Vec<f64> {
    let mut values = vec![0.0];
    for k in 0..m {
        values.push(values[k] + ((m - k) as f64).ln() - ((k + 1) as f64).ln());
    }
    values
}
/// `u(x) = 1 + a xᵖ + b xᵖ⁺¹ + c xᵖ⁺²` and its derivative: zero with two derivatives at `x = 1`, zero beyond (Gasteiger et al., DimeNet,
/// arXiv 2003.03123, eq. 8). `p` is at least 1.
pub fn polynomial_envelope(x: f64, p: u32) -> (f64, f64) {
    if x >= 1.0 {
        return (0.0, 0.0);
    }
    let power = x.powi(p as i32 - 1);
    let p = f64::from(p);
    let (a, b, c) = (-(p + 1.0) * (p + 2.0) / 2.0, p * (p + 2.0), -p * (p + 1.0) / 2.0);
    let value = 1.0 + ((c * x + b) * x + a) * power * x;
    (value, ((c * (p + 2.0) * x + b * (p + 1.0)) * x + a * p) * power)
}

/// `exp(−x² / (1 − x²))` and its derivative: zero with all derivatives at `x = 1`, zero beyond.
pub fn exponential_envelope(x: f64) -> (f64, f64) {
    if x >= 1.0 {
        return (0.0, 0.0);
    }
    let rest = 1.0 - x * x;
    let value = (-x * x / rest).exp();
    (value, -2.0 * x * value / (rest * rest))
}
