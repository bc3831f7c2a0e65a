//! Kinds of files that commands write.

/// Kinds of files that commands write under names which users give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Systems as (extended) XYZ, compressed or not.
    Extxyz,
    /// Systems as NumPy arrays.
    Npz,
    /// A model file.
    Model,
    /// Weights as safetensors, without the header of a model file.
    Weights,
    /// A picture.
    Svg,
    /// A configuration's section of scale factors.
    ScaleFactors,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Extxyz => "extended XYZ",
            Self::Npz => "systems as npz",
            Self::Model => "a model file",
            Self::Weights => "bare weights",
            Self::Svg => "an SVG picture",
            Self::ScaleFactors => "a section of scale factors",
        })
    }
}
