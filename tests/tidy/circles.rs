//! Check of the source files: no two files import each other, neither directly nor in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{Source, sources};

/// Splits the inside of braces at its top-level commas.
fn split_top(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begin) = (vec![], 0, 0);
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[begin..i]);
                begin = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

/// Adds all paths of a `use` tree.
fn expand_tree(prefix: &[String], tree: &str, paths: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let segments = |path: &str| -> Vec<String> {
        path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    match tree.split_once('{') {
        Some((head, rest)) => {
            let prefix = [prefix, &segments(head)].concat();
            let inside = rest.trim_end().strip_suffix('}').unwrap_or(rest);
            for part in split_top(inside) {
                expand_tree(&prefix, part, paths);
            }
        }
        None if tree.is_empty() => {}
        None => paths.push([prefix, &segments(tree.split(" as ").next().unwrap())].concat()),
    }
}

/// Returns the paths that a file mentions and that begin with `crate`, `super`, `self` or a module that it declares.
fn mentioned_paths(code: &str) -> Vec<Vec<String>> {
    let children: Vec<&str> = code
        .lines()
        .filter_map(|line| line.trim().strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name))
        .collect();
    let mut paths = vec![];
    let mut rest = String::new();
    let mut tree: Option<String> = None;
    for line in code.lines() {
        let line_start = line.trim_start();
        let is_use =
            ["use ", "pub use ", "pub(crate) use ", "pub(super) use "].iter().any(|word| line_start.starts_with(word));
        match (&mut tree, is_use) {
            (Some(tree), _) => tree.push_str(line),
            (None, true) => tree = line.split_once("use ").map(|(_, tree)| tree.to_owned()),
            (None, false) => rest.extend([line, "\n"]),
        }
        if let Some(whole) = tree.take_if(|tree| tree.contains(';')) {
            expand_tree(&[], whole.split(';').next().unwrap(), &mut paths);
        }
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for word in rest.split(|c: char| !is_word(c) && c != ':').filter(|word| word.contains("::")) {
        expand_tree(&[], word.trim_end_matches(':'), &mut paths);
    }
    paths.retain(|path| matches!(&*path[0], "crate" | "super" | "self") || children.contains(&&*path[0]));
    paths
}

/// Returns the module path of a file in `src`, such as `manifest/input/text`.
fn module_path(path: &Path) -> Vec<String> {
    let parts = path.strip_prefix("src").unwrap().with_extension("");
    let mut parts: Vec<String> = parts.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    parts.pop_if(|last| last == "mod");
    parts
}

/// Returns the file that each file in `src` imports. Tests are left out.
fn file_imports() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources();
    let is_code = |source: &&Source| source.is_in("src") && !source.is_test();
    let modules: BTreeSet<String> =
        sources.iter().filter(is_code).map(|source| module_path(&source.path).join("/")).collect();
    let mut imports = BTreeMap::new();
    for source in sources.iter().filter(is_code) {
        let own = module_path(&source.path);
        let code = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: String = code.lines().flat_map(|line| [line.split("//").next().unwrap(), "\n"]).collect();
        let mut others = BTreeSet::new();
        for path in mentioned_paths(&code) {
            let n_up = path.iter().take_while(|part| *part == "super").count();
            let (base, names) = match &*path[0] {
                "crate" => (&[][..], &path[1..]),
                "super" => (&own[..own.len().saturating_sub(n_up)], &path[n_up..]),
                "self" => (&own[..], &path[1..]),
                _ => (&own[..], &path[..]),
            };
            let whole = [base, names].concat();
            let longest = (1..=whole.len()).rev().map(|n| whole[..n].join("/")).find(|module| modules.contains(module));
            others.extend(longest.filter(|module| *module != own.join("/")));
        }
        imports.insert(own.join("/"), others);
    }
    imports
}

/// Returns the modules that are reachable from `from` through imports.
fn reachable<'a>(from: &str, imports: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&str> = imports[from].iter().map(String::as_str).collect();
    while let Some(module) = next.pop() {
        if found.insert(module) {
            next.extend(imports[module].iter().map(String::as_str));
        }
    }
    found
}

/// Goal: every file can be read with those below it alone. Method: the files that reach each other through their imports.
#[test]
fn no_two_files_import_each_other_in_a_circle() {
    let imports = file_imports();
    assert!(imports.len() > 200, "only {} files found: is the test looking in the right place?", imports.len());
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|module| (module.as_str(), reachable(module, &imports))).collect();
    let mut circles = BTreeSet::new();
    for (module, others) in reach.iter().filter(|(module, others)| others.contains(*module)) {
        circles.insert(others.iter().filter(|other| reach[*other].contains(module)).copied().collect::<Vec<_>>());
    }
    assert!(circles.is_empty(), "{circles:#?}");
}
