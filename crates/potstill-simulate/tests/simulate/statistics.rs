//! Means of correlated series, with their errors.

/// Mean of a series and its standard error, from the scatter of the means of 32 blocks.
pub fn mean(values: &[f64]) -> (f64, f64) {
    const BLOCKS: usize = 32;
    let size = values.len() / BLOCKS;
    let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let blocks: Vec<f64> = values.chunks_exact(size).take(BLOCKS).map(average).collect();
    let all = average(&blocks);
    let variance = blocks.iter().map(|b| (b - all).powi(2)).sum::<f64>() / (BLOCKS * (BLOCKS - 1)) as f64;
    (all, variance.sqrt())
}

/// Checks that the mean of a series is `wanted` within four standard errors and `slack` (for the timestep), both relative, and
/// that the standard error is at most `sharp`, so that the check means something.
#[track_caller]
pub fn assert_mean(what: &str, values: &[f64], wanted: f64, sharp: f64, slack: f64) {
    let (found, error) = mean(values);
    let (off, error) = (found / wanted - 1.0, error / wanted.abs());
    assert!(error <= sharp, "{what}: the series is too short: error {error:.4}");
    assert!(off.abs() <= 4.0 * error + slack, "{what}: {found} for {wanted}, error {error:.4}");
}

/// Squares of the distances from a known mean.
pub fn squares(values: &[f64], centre: f64) -> Vec<f64> {
    values.iter().map(|x| (x - centre).powi(2)).collect()
}
