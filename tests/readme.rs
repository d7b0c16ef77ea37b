//! The README's tables are what the code says. `UPDATE_README=1 cargo test readme` writes them.
use std::path::Path;

#[test]
fn tables_are_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let before = std::fs::read_to_string(&path).expect("README.md");
    let after = replace(
        &before,
        "specifications",
        &stonechat::feature::specification_table(stonechat::channel::SPECS),
    );
    let after = replace(&after, "settings", &stonechat::config::settings_table());
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, &after).expect("write README.md");
    } else {
        assert!(
            before == after,
            "README.md is behind the code: UPDATE_README=1 cargo test readme"
        );
    }
}

/// Puts a table between the comments that mark its place.
fn replace(text: &str, name: &str, table: &str) -> String {
    let start = text
        .find(&format!("<!-- {name}:"))
        .expect("the mark before the table");
    let start = start + text[start..].find("-->").expect("its end") + "-->".len();
    let end = text
        .find(&format!("<!-- end of {name} -->"))
        .expect("the mark behind the table");
    format!("{}\n{}\n{}", &text[..start], table.trim_end(), &text[end..])
}
