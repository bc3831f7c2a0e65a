//! Types that a configuration file is made of, read from the source.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use quote::ToTokens;
use syn::{Attribute, Expr, Fields, Ident, Item, LitStr, Token};

/// All types that are read from files, with the functions that make defaults.
#[derive(Default)]
pub struct Types {
    /// Structs and enums by name.
    pub types: BTreeMap<String, Type>,
    /// Value that a function without arguments returns, by name.
    pub functions: BTreeMap<String, Expr>,
    /// Value that `Default::default` returns, by the name of the type.
    pub defaults: BTreeMap<String, Expr>,
    /// Value of a constant, by name.
    pub constants: BTreeMap<String, Expr>,
}

/// A struct or enum.
pub struct Type {
    /// Documentation.
    pub doc: String,
    /// Attributes of `serde`.
    pub serde: Serde,
    /// Parts of the type.
    pub shape: Shape,
}

/// Parts of a type.
pub enum Shape {
    /// Fields of a struct.
    Struct(Vec<Field>),
    /// Variants of an enum.
    Enum(Vec<Variant>),
    /// The type that a transparent struct holds.
    Transparent(syn::Type),
}

/// A field of a struct or variant.
pub struct Field {
    /// Name in a file.
    pub name: String,
    /// Documentation.
    pub doc: String,
    /// Type.
    pub ty: syn::Type,
    /// Attributes of `serde`.
    pub serde: Serde,
}

/// A variant of an enum.
pub struct Variant {
    /// Name in the source.
    pub ident: String,
    /// Name in a file.
    pub name: String,
    /// Documentation.
    pub doc: String,
    /// Whether it is the default.
    pub is_default: bool,
    /// Attributes of `serde`.
    pub serde: Serde,
    /// Fields between braces.
    pub fields: Vec<Field>,
    /// The type between parentheses.
    pub inner: Option<syn::Type>,
}

/// Meaning of `serde` attributes.
#[derive(Default)]
pub struct Serde {
    /// Whether an absent value has a default.
    pub default: bool,
    /// Function that makes the default.
    pub default_function: Option<String>,
    /// Other names.
    pub aliases: Vec<String>,
    rename: Option<String>,
    rename_all: Option<String>,
    /// Key that tells the variants apart.
    pub tag: Option<String>,
    /// Whether the variants are told apart by their content.
    pub untagged: bool,
    /// Type that is read in place of this one.
    pub from: Option<String>,
    /// Whether it is never read.
    pub skip: bool,
}

impl Types {
    /// Reads the source of the crates in a folder.
    pub fn read(crates: &Path) -> Result<Self> {
        let mut types = Self::default();
        for entry in fs::read_dir(crates).with_context(|| crates.display().to_string())? {
            let source = entry?.path().join("src");
            if source.is_dir() && !source.starts_with(crates.join("xtask")) {
                types.folder(&source)?;
            }
        }
        Ok(types)
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                self.folder(&path)?;
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let file = syn::parse_file(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
                file.items.iter().for_each(|item| self.item(item));
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Struct(item) if is_read(&item.attrs) => {
                let serde = Serde::of(&item.attrs);
                let shape = match (&item.fields, item.fields.iter().next()) {
                    (Fields::Named(_), _) => Shape::Struct(fields(&item.fields, serde.rename_all.as_deref())),
                    (_, Some(inner)) => Shape::Transparent(inner.ty.clone()),
                    (_, None) => Shape::Struct(Vec::new()),
                };
                self.add(&item.ident, Type { doc: doc(&item.attrs), serde, shape });
            }
            Item::Enum(item) if is_read(&item.attrs) => {
                let serde = Serde::of(&item.attrs);
                let variants = item.variants.iter().map(|variant| Variant::of(variant, &serde)).collect();
                self.add(&item.ident, Type { doc: doc(&item.attrs), serde, shape: Shape::Enum(variants) });
            }
            Item::Macro(item) if item.mac.path.is_ident("strategies") => self.strategies(&item.mac),
            Item::Macro(item) if item.mac.path.is_ident("architectures") => self.architectures(&item.mac),
            Item::Impl(item) => self.default_of(item),
            Item::Fn(item) if item.sig.inputs.is_empty() => {
                let value = last_expression(&item.block);
                self.functions.extend(value.map(|value| (item.sig.ident.to_string(), value)));
            }
            Item::Const(item) => drop(self.constants.insert(item.ident.to_string(), (*item.expr).clone())),
            _ => {}
        }
    }

    /// The first type of a name stays: names are unique among those that files hold.
    fn add(&mut self, ident: &Ident, ty: Type) {
        self.types.entry(ident.to_string()).or_insert(ty);
    }

    /// The enum of all strategies, which a macro makes of their list.
    fn strategies(&mut self, mac: &syn::Macro) {
        let Ok(list) = mac.parse_body_with(Strategy::list) else { return };
        let variant = |strategy: Strategy| Variant {
            ident: strategy.ident.to_string(),
            name: renamed(&strategy.ident.to_string(), Some("snake_case")),
            doc: String::new(),
            is_default: false,
            serde: Serde { aliases: strategy.alias.into_iter().collect(), ..Serde::default() },
            fields: Vec::new(),
            inner: syn::parse_str(&strategy.ident.to_string()).ok(),
        };
        let shape = Shape::Enum(list.into_iter().map(variant).collect());
        let serde = Serde { tag: Some("strategy".to_owned()), ..Serde::default() };
        let doc = "One term of the loss: a strategy with its settings.".to_owned();
        self.types.insert("Term".to_owned(), Type { doc, serde, shape });
    }

    /// The enum of all architectures, which a macro makes of their list: `PaiNN(PaiNNConfig) = "painn"`.
    fn architectures(&mut self, mac: &syn::Macro) {
        let Ok(list) = mac.parse_body_with(syn::punctuated::Punctuated::<syn::Expr, Token![,]>::parse_terminated)
        else {
            return;
        };
        let variants = list.iter().filter_map(architecture).collect();
        let serde = Serde { tag: Some("architecture".to_owned()), ..Serde::default() };
        let doc = "Settings of a network.".to_owned();
        self.types.insert("Architecture".to_owned(), Type { doc, serde, shape: Shape::Enum(variants) });
    }

    fn default_of(&mut self, item: &syn::ItemImpl) {
        let is_default = item.trait_.as_ref().is_some_and(|(_, path, _)| path.is_ident("Default"));
        let syn::Type::Path(of) = &*item.self_ty else { return };
        let (true, Some(name)) = (is_default, of.path.segments.last()) else { return };
        for part in &item.items {
            let syn::ImplItem::Fn(function) = part else { continue };
            let value = last_expression(&function.block);
            self.defaults.extend(value.map(|value| (name.ident.to_string(), value)));
        }
    }
}

/// Variant of one entry of the list of architectures.
fn architecture(entry: &Expr) -> Option<Variant> {
    let Expr::Assign(entry) = entry else { return None };
    let Expr::Call(variant) = &*entry.left else { return None };
    let (Expr::Path(ident), Expr::Path(settings)) = (&*variant.func, variant.args.first()?) else { return None };
    let Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }) = &*entry.right else { return None };
    Some(Variant {
        ident: ident.path.get_ident()?.to_string(),
        name: name.value(),
        doc: String::new(),
        is_default: false,
        serde: Serde::default(),
        fields: Vec::new(),
        inner: syn::parse_str(&settings.path.get_ident()?.to_string()).ok(),
    })
}

/// An entry of the list of strategies: a name, and perhaps `alias "short"`.
struct Strategy {
    ident: Ident,
    alias: Option<String>,
}

impl Strategy {
    fn list(input: syn::parse::ParseStream<'_>) -> syn::Result<Vec<Self>> {
        let mut list = Vec::new();
        while !input.is_empty() {
            let ident = input.parse::<Ident>()?;
            let has_alias = input.peek(Ident);
            if has_alias {
                input.parse::<Ident>()?;
            }
            let alias = if has_alias { Some(input.parse::<LitStr>()?.value()) } else { None };
            list.push(Self { ident, alias });
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(list)
    }
}

impl Variant {
    fn of(variant: &syn::Variant, container: &Serde) -> Self {
        let serde = Serde::of(&variant.attrs);
        let ident = variant.ident.to_string();
        let name = serde.rename.clone().unwrap_or_else(|| renamed(&ident, container.rename_all.as_deref()));
        let (fields, inner) = match &variant.fields {
            Fields::Named(_) => (fields(&variant.fields, serde.rename_all.as_deref()), None),
            all => (Vec::new(), all.iter().next().map(|field| field.ty.clone())),
        };
        let is_default = variant.attrs.iter().any(|attribute| attribute.path().is_ident("default"));
        Self { ident, name, doc: doc(&variant.attrs), is_default, serde, fields, inner }
    }
}

impl Serde {
    fn of(attributes: &[Attribute]) -> Self {
        let mut serde = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            // Attributes that say nothing about names or defaults may have any form.
            let _ = attribute.parse_nested_meta(|meta| serde.take(&meta));
        }
        serde
    }

    fn take(&mut self, meta: &syn::meta::ParseNestedMeta<'_>) -> syn::Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let text = match meta.input.peek(Token![=]) {
            true => Some(meta.value()?.parse::<LitStr>()?.value()),
            false => None,
        };
        match name.as_str() {
            "default" => (self.default, self.default_function) = (true, text),
            "alias" => self.aliases.extend(text),
            "rename" => self.rename = text,
            "rename_all" => self.rename_all = text,
            "tag" => self.tag = text,
            "untagged" => self.untagged = true,
            "from" | "try_from" => self.from = text,
            "skip" | "skip_deserializing" => self.skip = true,
            _ => {}
        }
        Ok(())
    }
}

fn fields(fields: &Fields, rename_all: Option<&str>) -> Vec<Field> {
    let field = |field: &syn::Field| {
        let serde = Serde::of(&field.attrs);
        let ident = field.ident.as_ref()?.to_string();
        let name = serde.rename.clone().unwrap_or_else(|| renamed(&ident, rename_all));
        Some(Field { name, doc: doc(&field.attrs), ty: field.ty.clone(), serde })
    };
    fields.iter().filter_map(field).filter(|field| !field.serde.skip).collect()
}

/// Whether a type is read from files.
fn is_read(attributes: &[Attribute]) -> bool {
    let derives = attributes.iter().filter(|attribute| attribute.path().is_ident("derive"));
    derives.map(|attribute| attribute.meta.to_token_stream().to_string()).any(|text| text.contains("Deserialize"))
}

/// Documentation as one text; paragraphs are separated by a space.
fn doc(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(line).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A name in another case.
pub fn renamed(name: &str, rule: Option<&str>) -> String {
    match rule {
        Some("lowercase") => name.to_lowercase(),
        Some(rule @ ("snake_case" | "kebab-case")) => {
            let dash = if rule == "snake_case" { '_' } else { '-' };
            let mut out = String::new();
            for letter in name.chars() {
                if letter.is_uppercase() && !out.is_empty() {
                    out.push(dash);
                }
                out.extend(letter.to_lowercase());
            }
            out
        }
        _ => name.to_owned(),
    }
}

fn last_expression(block: &syn::Block) -> Option<Expr> {
    match block.stmts.last()? {
        syn::Stmt::Expr(value, None) => Some(value.clone()),
        _ => None,
    }
}
