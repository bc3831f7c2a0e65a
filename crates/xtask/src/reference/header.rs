//! The header of the C interface, from the functions of `potstill-capi`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cbindgen::{Builder, Config, DocumentationStyle, ExportConfig, Language, ParseConfig, Style};

/// Files of the crate whose items are in the header, in its order.
const FILES: [&str; 6] = ["error", "threads", "model", "system", "exchange", "domain"];
/// Types in Rust and in C.
const TYPES: [(&str, &str); 3] = [
    ("PotstillModel", "potstill_model"),
    ("PotstillDomain", "potstill_domain"),
    ("PotstillExchange", "potstill_exchange"),
];
/// What the header begins with.
const HEAD: &str = "/* C interface of potstill. Made by `cargo xtask reference` from crates/potstill-capi; do not edit.

   Functions that can fail return 0 (or a pointer) when they succeed and 1 (or NULL) when they fail; potstill_error() then has a
   message of one line. A model may be used by several threads at a time, a domain by one. Lengths are in Å, energies in eV.

   SPDX-License-Identifier: MIT OR Apache-2.0 */";

/// Path and text of the header.
///
/// # Errors
/// Source that cannot be read.
pub fn page(root: &Path) -> Result<(PathBuf, String)> {
    let folder = root.join("crates/potstill-capi");
    let config = Config {
        language: Language::C,
        cpp_compat: true,
        style: Style::Type,
        header: Some(HEAD.to_owned()),
        include_guard: Some("POTSTILL_H".to_owned()),
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned()],
        usize_is_size_t: true,
        documentation_style: DocumentationStyle::C99,
        line_length: 100,
        export: ExportConfig {
            rename: TYPES.map(|(rust, c)| (rust.to_owned(), c.to_owned())).into_iter().collect(),
            ..ExportConfig::default()
        },
        parse: ParseConfig { parse_deps: false, ..ParseConfig::default() },
        ..Config::default()
    };
    let files = FILES.iter().map(|name| folder.join(format!("src/{name}.rs")));
    let builder = files.fold(Builder::new().with_config(config), |builder, file| builder.with_src(file));
    let mut text = Vec::new();
    builder.generate().context("the header of the C interface")?.write(&mut text);
    Ok((folder.join("include/potstill.h"), String::from_utf8(text)?))
}
