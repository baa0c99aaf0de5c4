//! Tables of Markdown, read and written.

/// The cells of every row of the tables in `text`, the headings and rules left out.
pub(crate) fn rows(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |line: &str| {
        line.starts_with('|') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
    };
    let mut rows = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let is_heading = lines.get(index + 1).is_some_and(|next| is_rule(next));
        if line.starts_with('|') && !is_rule(line) && !is_heading {
            let cells = line.trim_matches('|').split(" | ");
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

#[test]
fn rows_leave_out_headings_and_rules() {
    let text = "| id | is |\n|---|---|\n| a | `1 << 2` |\n| b |  |\n\ntext | text\n";
    assert_eq!(rows(text), [["a", "`1 << 2`"], ["b", ""]]);
    assert!(rows("text").is_empty());
}
