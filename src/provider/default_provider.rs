//! Provider of a run that names none.

use std::sync::LazyLock;

use crate::description::parse::parse;
use crate::provider::builtin;
use crate::provider::described::spec::spec;
use crate::provider::spec::ProviderSpec;

/// Its name.
pub const NAME: &str = "modelscope";

/// Its row, which is made from its description when it is first used.
pub static DEFAULT: LazyLock<&'static ProviderSpec> = LazyLock::new(|| {
    let text = builtin::text(NAME).expect("the table of descriptions has it");
    spec(parse(NAME, text, &builtin::text).expect("a test parses every built-in description"))
});
