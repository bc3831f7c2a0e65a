//! Modules of a crate and the paths between them, read from its source.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use syn::visit::Visit;
use syn::{Attribute, Item, ItemMod, UseTree};

/// Path of a module from the root of its crate; the root is empty.
pub type ModulePath = Vec<String>;

/// Modules of a crate that ship, each with the modules that it names.
#[derive(Debug, Default)]
pub struct Modules {
    /// Modules that a module names.
    pub uses: BTreeMap<ModulePath, BTreeSet<ModulePath>>,
}

/// Names that a module has from elsewhere, each with its full path.
type Imports = BTreeMap<String, Vec<String>>;

/// Module as written.
struct Source {
    items: Vec<Item>,
    imports: Imports,
}

impl Modules {
    /// Reads the modules of the crate whose root file is `root`.
    ///
    /// # Errors
    /// Files that cannot be read or parsed.
    pub fn read(root: &Path) -> Result<Self> {
        let folder = root.parent().unwrap_or(Path::new("."));
        let mut sources = BTreeMap::new();
        collect(root, folder, &[], &mut sources)?;
        let mut modules = Self::default();
        for (path, source) in &sources {
            let mut paths = Paths { module: path, found: Vec::new() };
            source.items.iter().for_each(|item| paths.visit_item(item));
            let uses =
                paths.found.iter().filter_map(|found| target(found, &sources, 0)).filter(|module| module != path);
            modules.uses.insert(path.clone(), uses.collect());
        }
        Ok(modules)
    }
}

/// Reads a file and the modules that it declares, those of tests left out.
fn collect(file: &Path, folder: &Path, path: &[String], sources: &mut BTreeMap<ModulePath, Source>) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let parsed = syn::parse_file(&text).with_context(|| file.display().to_string())?;
    let items: Vec<Item> = parsed.items.into_iter().filter(|item| !is_for_tests(attributes(item))).collect();
    for item in &items {
        let Item::Mod(module) = item else { continue };
        if module.content.is_none() {
            let name = module.ident.to_string();
            let inner = [path, std::slice::from_ref(&name)].concat();
            let (file, folder) = (file_of(module, folder)?, folder.join(&name));
            collect(&file, &folder, &inner, sources)?;
        }
    }
    let imports = items.iter().flat_map(|item| imports(item, path)).collect();
    sources.insert(path.to_vec(), Source { items, imports });
    Ok(())
}

/// File of a module declared in a file whose modules lie in `folder`.
fn file_of(module: &ItemMod, folder: &Path) -> Result<PathBuf> {
    let name = module.ident.to_string();
    let elsewhere = module.attrs.iter().find(|attribute| attribute.path().is_ident("path"));
    if let Some(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. })) =
        elsewhere.and_then(|attribute| attribute.meta.require_name_value().ok()).map(|pair| &pair.value)
    {
        return Ok(folder.join(path.value()));
    }
    let places = [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")];
    places.into_iter().find(|place| place.is_file()).with_context(|| format!("no file of module {name}"))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test");
    attributes.iter().any(|attribute| attribute.path().is_ident("cfg") && is_test(attribute))
}

/// Names that a `use` brings into the module `path`.
fn imports(item: &Item, path: &[String]) -> Vec<(String, Vec<String>)> {
    let Item::Use(item) = item else { return Vec::new() };
    let mut leaves = Vec::new();
    flatten(&item.tree, &mut Vec::new(), &mut leaves);
    leaves.into_iter().filter_map(|(name, segments)| Some((name, absolute(&segments, path)?))).collect()
}

/// Leaves of a tree of `use`: the name that each brings, and its path.
fn flatten(tree: &UseTree, prefix: &mut Vec<String>, leaves: &mut Vec<(String, Vec<String>)>) {
    let mut leaf = |ident: &syn::Ident, name: &syn::Ident| {
        let mut path = prefix.clone();
        if ident != "self" {
            path.push(ident.to_string());
        }
        let name = if name == "self" { path.last().cloned().unwrap_or_default() } else { name.to_string() };
        leaves.push((name, path));
    };
    match tree {
        UseTree::Name(name) => leaf(&name.ident, &name.ident),
        UseTree::Rename(rename) => leaf(&rename.ident, &rename.rename),
        UseTree::Glob(_) => leaves.push(("*".to_owned(), prefix.clone())),
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            flatten(&path.tree, prefix, leaves);
            prefix.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, prefix, leaves)),
    }
}

/// A path from the root of the crate, `None` where it leads into another crate; a bare name may be a child's.
fn absolute(segments: &[String], module: &[String]) -> Option<Vec<String>> {
    let first = segments.first()?;
    let mut base = match first.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return Some([module, segments].concat()),
    };
    let mut rest = segments;
    while let Some((head, tail)) = rest.split_first() {
        match head.as_str() {
            "super" => drop(base.pop()),
            "self" | "crate" => {}
            _ => break,
        }
        rest = tail;
    }
    Some([&base[..], rest].concat())
}

/// The module that a path leads to: the longest part that is one, or the one that it gets the next name from.
fn target(path: &[String], sources: &BTreeMap<ModulePath, Source>, depth: usize) -> Option<ModulePath> {
    let n = (0..=path.len()).rev().find(|&n| sources.contains_key(&path[..n]))?;
    let module = &path[..n];
    let through = path.get(n).and_then(|name| sources[module].imports.get(name));
    match through {
        // Names of other crates look like names of children that do not exist.
        Some(further) if depth < 8 && further != path => target(further, sources, depth + 1).filter(|t| !t.is_empty()),
        _ => Some(module.to_vec()),
    }
}

/// Paths that the code of a module names.
struct Paths<'a> {
    module: &'a [String],
    found: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut leaves = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut leaves);
        self.found.extend(leaves.iter().filter_map(|(_, path)| absolute(path, self.module)));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if ["crate", "super", "self"].iter().any(|start| segments[0] == *start) && segments.len() > 1 {
            self.found.extend(absolute(&segments, self.module));
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            syn::visit::visit_item(self, item);
        }
    }
}
