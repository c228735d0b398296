//! Checks of the source files: layers, sizes, opening sentences, and texts that no file may contain.

#[path = "tidy/circles.rs"]
mod circles;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Maximum number of lines of a source file.
const FILE_LINES_MAX: usize = 400;

/// Maximum number of lines of a function, from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Layers from the bottom up. A module imports from lower layers only, and modules of one layer do not import each
/// other.
const LAYERS: [&[&str]; 9] = [
    &["test_effort"],
    &["model", "fsio"],
    &["description"],
    &["simulator"],
    &["provider", "store", "engine", "images", "report", "manifest"],
    &["driver", "plan"],
    &["run"],
    &["cli", "internals"],
    &["main"],
];

/// Path and text of a file.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Returns the module of a file in `src`: the first folder, or the name of the file.
    fn module(&self) -> String {
        let first = self.path.strip_prefix("src").unwrap().iter().next().unwrap().to_str().unwrap();
        first.trim_end_matches(".rs").to_owned()
    }

    /// Whether the file holds tests only.
    fn is_test(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "tests")
            || ["tests.rs", "fixtures.rs"].iter().any(|name| self.path.ends_with(name))
    }

    fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![];
    for folder in ["src", "tests", "benches", "examples"] {
        walk(&root.join(folder), &mut files);
    }
    let sources: Vec<_> = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| Source {
            text: fs::read_to_string(&path).unwrap(),
            path: path.strip_prefix(root).unwrap().to_owned(),
        })
        .collect();
    assert!(sources.len() > 40, "only {} files found: is the test looking in the right place?", sources.len());
    sources
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

fn layer(module: &str) -> usize {
    let found = LAYERS.iter().position(|modules| modules.contains(&module));
    found.unwrap_or_else(|| panic!("the module {module} has no layer: give it one in tests/tidy.rs and in src/lib.rs"))
}

/// Returns the modules that a file mentions as `crate::module` (or, in the program, as `promptbatch::module`), with their
/// lines.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let mut imports = vec![];
    for (number, line) in (1..).zip(source.text.lines()) {
        let code = line.split("//").next().unwrap();
        for root in ["crate::", "promptbatch::"] {
            for (at, _) in code.match_indices(root) {
                let rest = &code[at + root.len()..];
                let module: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                imports.push((number, module));
            }
        }
    }
    imports
}

#[test]
fn a_module_imports_lower_layers_only() {
    let mut faults = vec![];
    for source in sources().iter().filter(|source| source.is_in("src")) {
        let module = source.module();
        if module == "lib" {
            continue;
        }
        for (line, other) in imports(source) {
            if other != module && layer(&other) >= layer(&module) {
                faults.push(format!("{}:{line}: {module} imports {other}", source.path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Goal: every system can check the project out. Method: look for names that Windows reserves, and for characters that
/// it refuses.
#[test]
fn every_file_name_is_one_on_windows_too() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![];
    for folder in ["src", "tests", "benches", "examples", "docs"] {
        walk(&root.join(folder), &mut files);
    }
    let reserved = ["CON", "PRN", "AUX", "NUL", "COM", "LPT"];
    let is_refused = |name: &str| {
        let stem = name.split('.').next().unwrap().trim_end_matches(|c: char| c.is_ascii_digit()).to_uppercase();
        reserved.contains(&stem.as_str())
            || name.ends_with(['.', ' '])
            || name.contains(['<', '>', ':', '"', '|', '?', '*', '\\'])
    };
    let refused: Vec<_> =
        files.iter().filter(|file| file.iter().any(|part| is_refused(&part.to_string_lossy()))).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn no_module_imports_from_the_crate_root() {
    let modules: Vec<&str> = LAYERS.into_iter().flatten().copied().collect();
    for source in sources().iter().filter(|source| source.is_in("src")) {
        for (line, module) in imports(source) {
            assert!(modules.contains(&module.as_str()), "{}:{line}: `{module}` is no module", source.path.display());
        }
    }
}

#[test]
fn the_model_knows_no_time_no_files_and_no_serde() {
    let words = ["serde", "tokio", "std::fs", "std::io", "std::net", "SystemTime", "Instant::now", "async "];
    for source in sources().iter().filter(|source| source.is_in("src/model")) {
        let code: Vec<_> = source.text.lines().map(|line| line.split("//").next().unwrap()).collect();
        for word in words {
            assert!(!code.iter().any(|line| line.contains(word)), "{}: {word}", source.path.display());
        }
    }
}

#[test]
fn the_engine_never_reads_a_clock() {
    for source in sources().iter().filter(|source| source.is_in("src/engine")) {
        for word in ["tokio", "SystemTime", "Instant::now", "std::fs", "async ", ".await"] {
            let mut code = source.text.lines().map(|line| line.split("//").next().unwrap());
            assert!(!code.any(|line| line.contains(word)), "{}: {word}", source.path.display());
        }
    }
}

/// Exempts the clock of the driver, and that of the simulated service, which represents another machine.
#[test]
fn only_the_clocks_ask_what_time_it_is() {
    let clocks = [Path::new("src/driver/clock.rs"), Path::new("src/simulator/http.rs")];
    for source in sources().iter().filter(|source| source.is_in("src") && !clocks.contains(&source.path.as_path())) {
        assert!(!source.text.contains("SystemTime::now"), "{}", source.path.display());
    }
}

#[test]
fn every_file_opens_with_its_purpose_and_stays_readable() {
    for Source { path, text } in sources() {
        assert!(text.starts_with("//! "), "{}: the first line says what the file is for", path.display());
        let n_lines = text.lines().count();
        assert!(n_lines <= FILE_LINES_MAX, "{}: {n_lines} lines; split it by concern", path.display());
    }
}

/// Whether a function begins on this line.
fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_before = |word: &&str| matches!(*word, "async" | "const") || word.starts_with("pub");
    words.find(|word| !is_before(word)) == Some("fn")
}

#[test]
fn functions_fit_on_a_screen() {
    let mut faults = vec![];
    for Source { path, text } in sources() {
        let mut open: Option<(usize, String, usize)> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let indent = line.len() - line.trim_start().len();
            if let Some((start, name, at)) = &open {
                if line.starts_with(&format!("{}}}", " ".repeat(*at))) {
                    if number - start > FUNCTION_LINES_MAX {
                        faults.push(format!("{}:{start}: {name} ({} lines)", path.display(), number - start));
                    }
                    open = None;
                }
            } else if is_function(line) && !line.trim_end().ends_with(['}', ';']) {
                open = Some((number, line.trim().to_owned(), indent));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Returns the names of the types in a file that other files can see. The file's own tests are left out.
fn shown_types(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let shown = code.lines().filter_map(|line| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        words.next().filter(|word| *word == "pub")?;
        let kind = words.find(|word| !matches!(*word, "crate" | "super"))?;
        if matches!(kind, "struct" | "enum" | "trait") { words.next() } else { None }
    });
    shown.collect()
}

/// Goal: a search for a type finds one. Method: the names of all types that are visible outside of their file.
#[test]
fn no_two_types_have_one_name() {
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources().iter().filter(|source| source.is_in("src") && !source.is_test()) {
        for name in shown_types(&source.text) {
            homes.entry(name.to_owned()).or_default().push(source.path.display().to_string());
        }
    }
    assert!(homes.len() > 300, "only {} types found: is the test looking in the right place?", homes.len());
    homes.retain(|_, files| files.len() > 1);
    assert!(homes.is_empty(), "{homes:#?}");
}

/// Goal: a reader who is sent to another file finds it. Method: every path in backticks that begins with a module of
/// `src` in a comment, or with a folder of sources in a page for people.
#[test]
fn files_that_comments_and_pages_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named: Vec<(PathBuf, PathBuf)> = vec![];
    for Source { path, text } in sources() {
        for comment in text.lines().filter_map(|line| line.split_once("//")).map(|(_, comment)| comment) {
            for word in comment.split('`').skip(1).step_by(2) {
                if word.split_once('/').is_some_and(|(module, _)| LAYERS.concat().contains(&module)) {
                    named.push((path.clone(), root.join("src").join(word)));
                }
            }
        }
    }
    let mut pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|page| root.join(page)).to_vec();
    walk(&root.join("docs"), &mut pages);
    for page in pages.into_iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(&page).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            if ["src/", "tests/", "benches/"].iter().any(|folder| word.starts_with(folder))
                && !word.contains([' ', '<', '*'])
            {
                named.push((page.clone(), root.join(word)));
            }
        }
    }
    assert!(named.len() > 20, "only {} found: is the test looking for the right thing?", named.len());
    for (by, path) in named {
        let exists = path.exists() || path.with_extension("rs").exists();
        assert!(exists, "{} names {}, which does not exist", by.display(), path.display());
    }
}

#[test]
fn nothing_is_left_open_or_silenced() {
    let left_open = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
        concat!("#[al", "low("),
        concat!("#[ign", "ore]"),
    ];
    for Source { path, text } in sources() {
        for word in left_open {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn no_secret_and_no_path_of_a_machine_is_in_the_project() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![];
    for folder in ["src", "tests", "benches", "examples", ".ci", ".github", "docs"] {
        walk(&root.join(folder), &mut files);
    }
    // The files of the root: the texts, and what builds the program.
    let is_text =
        |path: &PathBuf| path.extension().is_some_and(|end| ["md", "toml", "rs"].iter().any(|text| end == *text));
    files.extend(fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(is_text));
    for path in files {
        // Pictures and manifests in other encodings are not text.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for word in [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/")] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
        assert!(!looks_like_a_token(&text), "{}: a token", path.display());
    }
}

/// Reports whether a text contains `ms-` and a UUID.
fn looks_like_a_token(text: &str) -> bool {
    text.match_indices("ms-").any(|(at, _)| {
        let rest = &text.as_bytes()[at + 3..];
        rest.len() >= 36
            && rest[..8].iter().all(u8::is_ascii_hexdigit)
            && [8, 13, 18, 23].iter().all(|i| rest[*i] == b'-')
    })
}

#[test]
fn the_crate_docs_name_every_module() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let docs: String = text.lines().filter(|line| line.starts_with("//!")).collect();
    let modules: BTreeMap<_, _> = LAYERS.into_iter().flatten().map(|module| (module, docs.contains(*module))).collect();
    assert!(modules.values().all(|is_named| *is_named), "{modules:?}");
}
