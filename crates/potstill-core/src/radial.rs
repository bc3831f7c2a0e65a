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
