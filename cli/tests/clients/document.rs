// SPDX-License-Identifier: MIT OR Apache-2.0
//! The counts in `docs/clients.md`, which must be those of the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use libtest_mimic::Failed;

use crate::rows::Row;

const BEGIN: &str = "<!-- counted from cli/tests/clients/shapes.txt -->\n";
const END: &str = "<!-- end of the count -->\n";

/// Compares the document with the table, or writes it.
pub(crate) fn check(rows: &[Row]) -> Result<(), Failed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients.md");
    let text = fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("docs/clients.md: no beginning of the count")?;
    let (_, after) = rest.split_once(END).ok_or("docs/clients.md: no end of the count")?;
    let expected = format!("{before}{BEGIN}{}{END}{after}", counted(rows));
    if std::env::var_os("CLIENTS_DOCUMENT").is_some_and(|value| value == "write") {
        fs::write(&path, &expected)?;
    } else if text != expected {
        return Err(
            "docs/clients.md is not what the table gives: run the test with CLIENTS_DOCUMENT=write".into()
        );
    }
    Ok(())
}

fn counted(rows: &[Row]) -> String {
    let mut programs: BTreeMap<String, (&str, BTreeSet<&str>)> = BTreeMap::new();
    let mut parts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        for &program in &row.programs {
            let (_, waits) =
                programs.entry(program.to_lowercase()).or_insert_with(|| (program, BTreeSet::new()));
            if let Some(part) = row.left.or(row.waits) {
                waits.insert(part);
                parts.entry(part).or_default().insert(program);
            }
        }
    }
    let (fine, waiting): (Vec<_>, Vec<_>) = programs.values().partition(|(_, waits)| waits.is_empty());
    let left = rows.iter().filter(|row| row.left.is_some()).count();
    let waits = rows.iter().filter(|row| row.waits.is_some()).count();
    let same = rows.len() - left - waits;
    let mut text = format!(
        "\n{} calls: {same} do the same with both tools, {waits} do not yet, {left} belong to parts that are not built.\n\
         Of {} programs **{}** meet no difference, {} meet one.\n\n## Missing\n\n\
         | missing | programs | to these nothing else is missing |\n|---|---|---|\n",
        rows.len(),
        programs.len(),
        fine.len(),
        waiting.len()
    );
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_by_key(|(_, programs)| std::cmp::Reverse(programs.len()));
    for (part, users) in parts {
        let alone = waiting.iter().filter(|(_, waits)| waits.iter().eq([&part])).count();
        text += &format!("| {part} | {} | {alone} |\n", users.len());
    }
    text += "\n## Programs that meet a difference\n\n| program | waits for |\n|---|---|\n";
    for (program, waits) in waiting {
        text += &format!("| {program} | {} |\n", waits.iter().copied().collect::<Vec<_>>().join(", "));
    }
    let names: Vec<&str> = fine.iter().map(|(program, _)| *program).collect();
    text + "\n## Programs that meet none\n\n" + &names.join(", ") + ".\n\n"
}
