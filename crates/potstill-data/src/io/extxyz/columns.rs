//! `Properties=`: which column holds what.

use potstill_core::columns::ColumnValues;

/// Most columns that a file may declare; more is a damaged line.
pub const MAX_COLUMNS: usize = 100_000;

/// Type letter of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `S`
    Text,
    /// `R`
    Real,
    /// `I`
    Integer,
    /// `L`
    Logical,
}

impl Kind {
    /// No entries of that type.
    pub fn no_values(self) -> ColumnValues {
        match self {
            Self::Text => ColumnValues::Text(Vec::new()),
            Self::Real => ColumnValues::Real(Vec::new()),
            Self::Integer => ColumnValues::Int(Vec::new()),
            Self::Logical => ColumnValues::Bool(Vec::new()),
        }
    }

    /// Type of some entries.
    pub fn of(values: &ColumnValues) -> Self {
        match values {
            ColumnValues::Text(_) => Self::Text,
            ColumnValues::Real(_) => Self::Real,
            ColumnValues::Int(_) => Self::Integer,
            ColumnValues::Bool(_) => Self::Logical,
        }
    }
}

/// `name:type:count`, that is `count` neighbouring columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name, as in the file.
    pub name: String,
    /// Type of each entry.
    pub kind: Kind,
    /// Number of entries.
    pub count: usize,
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            Kind::Text => 'S',
            Kind::Real => 'R',
            Kind::Integer => 'I',
            Kind::Logical => 'L',
        };
        write!(f, "{}:{kind}:{}", self.name, self.count)
    }
}

/// Columns of a plain XYZ file.
pub const PLAIN: &str = "species:S:1:pos:R:3";

/// Reads the value of `Properties`.
///
/// # Errors
/// A message about the triple that is wrong.
pub fn parse(properties: &str) -> Result<Vec<Column>, String> {
    let parts: Vec<&str> = properties.trim().split(':').collect();
    let triples = parts.chunks_exact(3);
    if !triples.remainder().is_empty() {
        return Err(format!("Properties `{properties}` is not a list of name:type:count"));
    }
    let columns = triples.map(|t| column(t[0], t[1], t[2])).collect::<Result<Vec<_>, _>>()?;
    if columns.iter().map(|c| c.count).sum::<usize>() > MAX_COLUMNS {
        return Err(format!("Properties declares more than {MAX_COLUMNS} columns"));
    }
    for (i, column) in columns.iter().enumerate() {
        if columns[..i].iter().any(|c| c.name == column.name) {
            return Err(format!("Properties names `{}` twice", column.name));
        }
    }
    Ok(columns)
}

fn column(name: &str, kind: &str, count: &str) -> Result<Column, String> {
    let kind = match kind {
        "S" => Kind::Text,
        "R" => Kind::Real,
        "I" => Kind::Integer,
        "L" => Kind::Logical,
        _ => return Err(format!("Properties: `{name}` has the unknown type `{kind}`, expected S, R, I or L")),
    };
    match count.parse() {
        Ok(count @ 1..=MAX_COLUMNS) => Ok(Column { name: name.to_owned(), kind, count }),
        _ => Err(format!("Properties: `{name}` has the column count `{count}`, expected a number from 1")),
    }
}

/// Treatment of the next entry or entries of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A chemical symbol, or an atomic number in its place.
    Species,
    /// Three coordinates.
    Position,
    /// Three force components.
    Force,
    /// An integer tag.
    Tag,
    /// Truth values; the atom is fixed when all are false.
    MoveMask(usize),
    /// A truth value.
    Fixed,
    /// The entries of the plan's further column of that number.
    Other(usize),
}

/// Plan for reading each row of a system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the columns.
    pub steps: Vec<Step>,
    /// Columns that are carried along.
    pub others: Vec<Column>,
    /// Entries per row.
    pub n_columns: usize,
    /// Whether further entries may follow and are ignored, as in plain XYZ.
    pub open_ended: bool,
}

impl Plan {
    /// Plan for these columns, with the forces under that name.
    ///
    /// # Errors
    /// A message about a column that is missing or has the wrong type or count.
    pub fn new(columns: &[Column], forces: Option<&str>) -> Result<Self, String> {
        let first_of = |names: &[&'static str]| {
            names.iter().copied().find(|name| columns.iter().any(|column| column.name == *name))
        };
        let missing = |what: &str| {
            let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
            format!("Properties has no column {what}; the columns are {}", names.join(", "))
        };
        let species = first_of(&["species", "Z", "numbers", "atomic_numbers"]).ok_or_else(|| missing("`species`"))?;
        let position = first_of(&["pos", "positions"]).ok_or_else(|| missing("`pos`"))?;
        let mut others = Vec::new();
        let steps = columns.iter().map(|column| match column.name.as_str() {
            name if name == species => expect(column, &[Kind::Text, Kind::Integer], &[1], Step::Species),
            name if name == position => expect(column, &[Kind::Real], &[3], Step::Position),
            name if Some(name) == forces => expect(column, &[Kind::Real], &[3], Step::Force),
            "tags" => expect(column, &[Kind::Integer], &[1], Step::Tag),
            "move_mask" => expect(column, &[Kind::Logical, Kind::Integer], &[1, 3], Step::MoveMask(column.count)),
            "fixed" => expect(column, &[Kind::Logical, Kind::Integer], &[1], Step::Fixed),
            _ => {
                others.push(column.clone());
                Ok(Step::Other(others.len() - 1))
            }
        });
        let steps = steps.collect::<Result<_, _>>()?;
        let n_columns = columns.iter().map(|c| c.count).sum();
        Ok(Self { steps, others, n_columns, open_ended: false })
    }

    /// Whether any step is that one.
    pub fn has(&self, step: Step) -> bool {
        self.steps.contains(&step)
    }
}

fn expect(column: &Column, kinds: &[Kind], counts: &[usize], step: Step) -> Result<Step, String> {
    if kinds.contains(&column.kind) && counts.contains(&column.count) {
        return Ok(step);
    }
    let wanted = Column { name: column.name.clone(), kind: kinds[0], count: counts[0] };
    Err(format!("Properties: expected {wanted}, found {column}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_of_a_slab() {
        let columns = parse("species:S:1:pos:R:3:move_mask:L:1:tags:I:1:q:R:2:forces:R:3").unwrap();
        let plan = Plan::new(&columns, Some("forces")).unwrap();
        let expected = [Step::Species, Step::Position, Step::MoveMask(1), Step::Tag, Step::Other(0), Step::Force];
        assert_eq!(plan.steps, expected);
        assert_eq!((plan.others, plan.n_columns), (vec![columns[4].clone()], 11));
    }

    #[test]
    fn errors_name_the_triple() {
        let text = |p: &str| parse(p).and_then(|c| Plan::new(&c, Some("forces"))).unwrap_err();
        assert_eq!(text("species:S"), "Properties `species:S` is not a list of name:type:count");
        assert_eq!(text("a:X:1"), "Properties: `a` has the unknown type `X`, expected S, R, I or L");
        assert_eq!(text("a:R:0"), "Properties: `a` has the column count `0`, expected a number from 1");
        assert_eq!(text("a:R:1:a:R:1"), "Properties names `a` twice");
        assert_eq!(text("a:S:1:pos:R:3"), "Properties has no column `species`; the columns are a, pos");
        assert_eq!(text("species:S:1"), "Properties has no column `pos`; the columns are species");
        assert_eq!(text("species:S:1:pos:R:2"), "Properties: expected pos:R:3, found pos:R:2");
        assert!(text("a:R:90000:b:R:90000").contains("more than 100000 columns"));
    }
}
