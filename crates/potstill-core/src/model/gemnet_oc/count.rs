//! Number of weights of GemNet-OC.

use super::super::{Forces, RadialKind};
use super::GemNetOCConfig;

impl GemNetOCConfig {
    /// Number of weights; see [`NetworkSettings::n_parameters`](super::NetworkSettings::n_parameters).
    pub(super) fn count_parameters(&self) -> f64 {
        let f = |n: usize| n as f64;
        let [a, m, r, s] = [self.atom_channels, self.edge_channels, self.n_radial, self.n_spherical].map(f);
        let [br, bc, bs] = [self.radial_channels, self.circular_channels, self.spherical_channels].map(f);
        let [ti, to, qi, qo] = [
            self.triplet_in_channels,
            self.triplet_out_channels,
            self.quadruplet_in_channels,
            self.quadruplet_out_channels,
        ]
        .map(f);
        let [pi, po] = [self.pair_in_channels, self.pair_out_channels].map(f);
        let residuals = |n: usize, c: f64| 2.0 * c * c * f(n);
        let on = |flag: bool, n: f64| if flag { n } else { 0.0 };
        let direct = self.forces == Forces::Direct;

        let radial = |kind: RadialKind| kind.n_parameters(self.n_radial) as f64;
        let angular = radial(self.angular_radial_basis());
        let plain = radial(self.radial_basis);
        let mut bases = plain + angular + 3.0 * r * br + r * s * bc;
        bases += on(self.quadruplets, angular + r * br + r * s * bc + r * s * s * bs);
        bases += on(self.atom_to_edge, r * br + r * s * bc);
        bases += on(self.edge_to_atom, angular + r * br + r * s * bc);
        bases += on(self.atom_to_edge || self.edge_to_atom, plain) + on(self.atom_to_atom, plain + r * br);

        let triplet = |i: f64, o: f64, ways: f64| i * i + br * i + i * ti + bc * ti * to + ways * to * o;
        let update = br * m + on(a != m, m * a) + residuals(self.n_atom, a);
        let mut block = m * m + triplet(m, m, 2.0);
        block += on(self.quadruplets, m * m + br * m + m * qi + bc * qi + bs * qi * qo + 2.0 * qo * m);
        block += on(self.atom_to_edge, triplet(a, m, 2.0)) + on(self.edge_to_atom, triplet(m, a, 1.0));
        block += on(self.atom_to_atom, a * pi + br * pi * po + po * a);
        block += residuals(self.n_before_skip + self.n_after_skip + self.n_concat, m);
        block += residuals(self.n_atom_embedding, a) + update + (2.0 * a + m) * m;

        let output = update + residuals(self.n_output_after_atom, a) + on(direct, br * m + residuals(self.n_atom, m));
        let outputs = f(self.n_blocks) + 1.0;
        let head = |c: f64| outputs * c * c + residuals(self.n_global_output, c) + c;
        f(Self::EMBEDDING_ROWS) * a
            + (2.0 * a + r) * m
            + bases
            + f(self.n_blocks) * block
            + outputs * output
            + head(a)
            + on(direct, head(m))
    }
}
