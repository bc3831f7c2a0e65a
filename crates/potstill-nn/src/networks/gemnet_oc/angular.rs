//! Functions of one and of two angles; their arguments are constants of the graph.

use std::f64::consts::PI;

use burn::tensor::Tensor;
use potstill_core::model::{CircularKind, SphericalKind};
use potstill_kernels::radial::Gaussians;

/// Values at each cosine. Shape: `[n, 1, k]` to `[n, n_spherical, k]`.
pub(super) fn circular(kind: CircularKind, cosine: &Tensor<3>, n_spherical: usize) -> Tensor<3> {
    match kind {
        CircularKind::SphericalHarmonics => {
            let columns = legendre(cosine, n_spherical).into_iter().enumerate();
            Tensor::cat(columns.map(|(l, p)| p.mul_scalar(zonal_norm(l))).collect(), 1)
        }
        CircularKind::Gaussian => {
            // One function alone has no width; any does.
            let basis = Gaussians::exact(-1.0, 1.0, n_spherical.max(2));
            let column = |mu: f64| cosine.clone().sub_scalar(mu).powi_scalar(2).mul_scalar(basis.coefficient).exp();
            Tensor::cat(basis.offsets.iter().take(n_spherical).map(|&mu| column(mu)).collect(), 1)
        }
    }
}

/// `√((2l + 1) / 4π)`
fn zonal_norm(l: usize) -> f64 {
    ((2 * l + 1) as f64 / (4.0 * PI)).sqrt()
}

/// `P_l` for `l < n`.
fn legendre(x: &Tensor<3>, n: usize) -> Vec<Tensor<3>> {
    let mut values = vec![x.ones_like(), x.clone()];
    for l in 2..n {
        let next = (x.clone() * values[l - 1].clone()).mul_scalar((2 * l - 1) as f64 / l as f64)
            - values[l - 2].clone().mul_scalar((l - 1) as f64 / l as f64);
        values.push(next);
    }
    values.truncate(n);
    values
}

/// Function of two angles as a sum of products: `Y_k(φ, θ) = Σ polar_k(φ) · dihedral_{f(k)}(θ)`.
#[derive(Debug, Clone)]
pub(super) struct Spherical {
    /// Functions of θ. Shape: `[n_slots, n_f, k]`.
    pub dihedral: Tensor<3>,
    /// Functions of φ that each function of θ meets. Shape: `[n, n_k, width]`.
    pub polar: Vec<Tensor<3>>,
    /// Place in the basis of the functions, group after group.
    pub order: Vec<usize>,
    /// Whether all groups share one set of polar functions, which then comes once.
    pub outer: bool,
}

/// Functions of φ (by its cosine, `[n, 1, width]`) and θ (`[n·width, 1, k]`).
pub(super) fn spherical(kind: SphericalKind, cosine: &Tensor<3>, theta: &Tensor<3>, n: usize) -> Spherical {
    let outer = match kind {
        SphericalKind::LegendreOuter => CircularKind::SphericalHarmonics,
        SphericalKind::GaussianOuter => CircularKind::Gaussian,
        SphericalKind::SphericalHarmonics => return harmonics(cosine, theta, n),
    };
    Spherical {
        dihedral: circular(outer, &theta.clone().cos(), n),
        polar: vec![circular(outer, cosine, n)],
        order: Vec::new(),
        outer: true,
    }
}

/// Real spherical harmonics; within one `l` the orders come as `0, 1 … l, −l … −1`.
fn harmonics(cosine: &Tensor<3>, theta: &Tensor<3>, n: usize) -> Spherical {
    let associated = associated_legendre(cosine, n);
    let (mut dihedral, mut polar, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for m in 0..n {
        let signs: &[i32] = if m == 0 { &[1] } else { &[1, -1] };
        for sign in signs {
            let angle = theta.clone().mul_scalar(m as f64);
            dihedral.push(if *sign > 0 { angle.cos() } else { angle.sin() });
            let rows = associated.iter().enumerate().skip(m);
            polar.push(Tensor::cat(rows.map(|(l, row)| row[m].clone().mul_scalar(norm(l, m))).collect(), 1));
            order.extend((m..n).map(|l| l * l + if *sign > 0 { m } else { 2 * l + 1 - m }));
        }
    }
    Spherical { dihedral: Tensor::cat(dihedral, 1), polar, order, outer: false }
}

/// `√2 (−1)ᵐ √((2l+1)/4π · (l−m)!/(l+m)!)`, without `√2` for `m = 0`.
fn norm(l: usize, m: usize) -> f64 {
    let ratio: f64 = ((l - m + 1)..=(l + m)).map(|i| 1.0 / i as f64).product();
    let sign = if m.is_multiple_of(2) { 1.0 } else { -1.0 };
    let root = if m == 0 { 1.0 } else { 2.0_f64.sqrt() };
    sign * root * zonal_norm(l) * ratio.sqrt()
}

/// `P_lm` with the Condon–Shortley sign, by `[l][m]`.
fn associated_legendre(x: &Tensor<3>, n: usize) -> Vec<Vec<Tensor<3>>> {
    let sine = x.clone().powi_scalar(2).neg().add_scalar(1.0).clamp_min(0.0).sqrt();
    let mut values: Vec<Vec<Tensor<3>>> = Vec::new();
    for l in 0..n {
        let mut row: Vec<Tensor<3>> = Vec::new();
        for m in 0..=l {
            row.push(if l == 0 {
                x.ones_like()
            } else if m == l {
                values[l - 1][m - 1].clone() * sine.clone().mul_scalar(-((2 * l - 1) as f64))
            } else if m == l - 1 {
                x.clone() * values[l - 1][m].clone().mul_scalar((2 * l - 1) as f64)
            } else {
                let first = x.clone() * values[l - 1][m].clone().mul_scalar((2 * l - 1) as f64);
                let second = values[l - 2][m].clone().mul_scalar((l + m - 1) as f64);
                (first - second).mul_scalar(1.0 / (l - m) as f64)
            });
        }
        values.push(row);
    }
    values
}
