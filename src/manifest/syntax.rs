//! Syntax of the texts of a manifest: what is a placeholder in them.

/// Template syntax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syntax {
    /// Plain syntax: `{name}` is the value of a var; `{{` and `}}` are braces.
    #[default]
    Plain,
    /// Like the plain syntax, and `{name}` is also the value of a passthrough column of the entry.
    Columns,
    /// Dynamic syntax: `{a|b}`, `{2$$a|b|c}`, `__wildcard__`, and `{name}` for vars too.
    Dynamic,
}

impl Syntax {
    /// All syntaxes, in the order in which a message lists them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Columns, Self::Dynamic];

    /// Returns the name, as a manifest and the option spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Columns => "columns",
            Self::Dynamic => "dynamic",
        }
    }

    /// Returns one line for `--help`.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Plain => "{name} is a var of the manifest, if it has vars",
            Self::Columns => "{name} is filled in from the column or key of that name, in the same row",
            Self::Dynamic => "{a|b} and __wildcard__ are choices, as in the program Dynamic Prompts",
        }
    }

    /// Returns the syntax with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|syntax| syntax.name() == name)
    }
}
