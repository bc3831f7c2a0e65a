//! Random numbers of thermostats and barostats.

use rand::{Rng, RngExt};

/// Random number with mean 0 and standard deviation 1, drawn by the Box–Muller method.
pub fn standard_normal(rng: &mut impl Rng) -> f64 {
    // In (0, 1], so that the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// Sum of the squares of `n` independent [`standard_normal`] numbers, in a time that does not grow with `n`.
pub fn sum_of_squares(n: usize, rng: &mut impl Rng) -> f64 {
    match n {
        0 => 0.0,
        1 => standard_normal(rng).powi(2),
        _ => 2.0 * gamma(0.5 * n as f64, rng),
    }
}

/// Gamma-distributed number with unit scale and a shape of at least 1, after G. Marsaglia and W. W. Tsang, ACM Trans. Math.
/// Softw. 26, 363 (2000).
fn gamma(shape: f64, rng: &mut impl Rng) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = standard_normal(rng);
        let v = (1.0 + c * x).powi(3);
        let u = 1.0 - rng.random::<f64>();
        if v > 0.0 && u.ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn sums_of_squares_have_the_moments_of_their_distribution() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for n in [1_usize, 2, 3, 10, 157] {
            let draws: Vec<f64> = (0..40_000).map(|_| sum_of_squares(n, &mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let central = |k: i32| draws.iter().map(|x| (x - mean).powi(k)).sum::<f64>() / draws.len() as f64;
            let freedom = n as f64;
            // Mean n, variance 2 n, third central moment 8 n; the errors of 40,000 draws are below a third of the bounds.
            assert!((mean / freedom - 1.0).abs() < 0.03, "{n}: {mean}");
            assert!((central(2) / (2.0 * freedom) - 1.0).abs() < 0.12, "{n}: {}", central(2));
            let skewness = central(3) / central(2).powf(1.5);
            assert!((skewness - (8.0 / freedom).sqrt()).abs() < 0.15 + 0.25 / freedom, "{n}: {skewness}");
        }
        assert_eq!(sum_of_squares(0, &mut rng), 0.0);
    }
}
