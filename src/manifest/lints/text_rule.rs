//! Rule that recognises a prompt as part of a text for another program, and its consequence.

/// Consequence of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Never meant as a prompt: a mistake.
    Mistake,
    /// A mistake if there are at least this many; otherwise a warning for each.
    AtLeast(u64),
    /// A mistake if most prompts are so and there are at least this many; otherwise a warning for each.
    Most(u64),
    /// One warning for all of them.
    Warning,
}

/// Prompt as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeenText<'a> {
    /// Text without the white space around it.
    pub(super) text: &'a str,
    pub(super) is_first: bool,
    /// Records that the manifest is plain text, in which every line is a prompt.
    pub(super) is_line: bool,
    /// Records that a number would not be text, so that one in quotes is meant.
    pub(super) is_typed: bool,
}

/// Rule for a prompt, with what follows from it.
pub(super) struct Rule {
    pub(super) is: fn(SeenText<'_>) -> bool,
    pub(super) verdict: Verdict,
    pub(super) what: &'static str,
    pub(super) remedy: &'static str,
}

/// Makes a row of the table of rules.
pub(super) const fn rule(
    is: fn(SeenText<'_>) -> bool,
    verdict: Verdict,
    what: &'static str,
    remedy: &'static str,
) -> Rule {
    Rule { is, verdict, what, remedy }
}
