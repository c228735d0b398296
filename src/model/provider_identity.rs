//! Identity of the provider that has the tasks of a run.

use std::fmt;

/// Identity of a provider: its name and, if it has one, the base URL of its API. Task ids mean nothing to any other provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderIdentity {
    /// Name in flags and results, without spaces.
    pub name: String,
    /// Base URL of the API, normalized; `None` if the service runs in this process.
    pub base_url: Option<String>,
}

impl ProviderIdentity {
    /// Reads an identity as it is [shown](fmt::Display).
    pub fn parse(text: &str) -> Self {
        match text.split_once(' ') {
            Some((name, base_url)) => Self { name: name.to_owned(), base_url: Some(base_url.to_owned()) },
            None => Self { name: text.to_owned(), base_url: None },
        }
    }
}

impl fmt::Display for ProviderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, base_url } = self;
        match base_url {
            Some(base_url) => write!(f, "{name} {base_url}"),
            None => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_is_shown() {
        for (text, name, base_url) in [
            ("simulator", "simulator", None),
            ("modelscope https://a.example", "modelscope", Some("https://a.example")),
        ] {
            let identity = ProviderIdentity { name: name.into(), base_url: base_url.map(str::to_owned) };
            assert_eq!((ProviderIdentity::parse(text), identity.to_string()), (identity, text.to_owned()));
        }
    }
}
