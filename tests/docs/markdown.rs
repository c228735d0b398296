//! What the tests of the documentation read in a Markdown page: fenced blocks, code spans, links and headings.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the root of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every page of the documentation, relative to the root: those of the root, and those in `docs/`.
pub fn pages() -> Vec<PathBuf> {
    let mut pages = vec![];
    for folder in [".", "docs", "benches"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(
                    path.strip_prefix(root()).unwrap().components().filter(|part| part.as_os_str() != ".").collect(),
                );
            }
        }
    }
    pages.sort();
    pages
}

pub fn text(page: &Path) -> String {
    fs::read_to_string(root().join(page)).unwrap()
}

/// Fenced block of a page.
#[derive(Debug)]
pub struct Block {
    /// Line of the opening fence, from 1.
    pub line: usize,
    /// Language of the block.
    pub language: String,
    /// Text of the comment before the block, such as `file: prompts.csv`. Empty if there is none.
    pub comment: String,
    pub text: String,
}

/// Returns the fenced blocks of a page, without the indentation of their fences.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = vec![];
    let mut comment = String::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((line, content)) = lines.next() {
        let trimmed = content.trim_start();
        let indent = content.len() - trimmed.len();
        if let Some(inner) = trimmed.strip_prefix("<!--").and_then(|rest| rest.trim_end().strip_suffix("-->")) {
            inner.trim().clone_into(&mut comment);
        } else if let Some(language) = trimmed.strip_prefix("```") {
            let body = lines.by_ref().map(|(_, content)| content).take_while(|content| content.trim() != "```");
            let body: Vec<_> = body.map(|content| content.get(indent..).unwrap_or_default()).collect();
            let text = body
                .iter()
                .flat_map(|content| {
                    [
                        *content, "
",
                    ]
                })
                .collect();
            blocks.push(Block { line, language: language.to_owned(), comment: std::mem::take(&mut comment), text });
        } else if !trimmed.is_empty() {
            comment.clear();
        }
    }
    blocks
}

/// Returns the lines outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    })
}

/// Returns the code spans of a page. An escaped bar in a table is a bar.
pub fn spans(text: &str) -> Vec<String> {
    let spans = prose(text).flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.map(|span| span.replace("\\|", "|")).collect()
}

/// Returns the targets of all links and pictures.
pub fn links(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next())
}

/// Returns the anchors of all headings, as forges and mdBook make them.
pub fn slugs(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        title
            .chars()
            .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    })
}
