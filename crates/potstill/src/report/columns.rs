//! Rows of text in columns, for a terminal.

/// Rows whose cells stand below each other, the first column to the left, the others to the right; a line break after each.
pub fn columns(rows: &[Vec<String>]) -> String {
    let n = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |k: usize| rows.iter().filter_map(|row| row.get(k)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..n).map(width).collect();
    let line = |row: &Vec<String>| {
        let cell = |(k, (cell, &width)): (usize, (&String, &usize))| match k {
            0 => format!("{cell:<width$}"),
            _ => format!("  {cell:>width$}"),
        };
        let text: String = row.iter().zip(&widths).enumerate().map(cell).collect();
        text.trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn cells_stand_below_each_other() {
        let rows = [["ä", "10", ""], ["long name", "7", "x"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows), "ä          10\nlong name   7  x\n");
        assert_eq!(columns(&[]), "");
    }
}
