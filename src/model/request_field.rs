//! The one list of a request's fields: how each is named, what it holds, and how it is read and set.
//!
//! Ledger, bodies, listings, conditions, metadata and differences are made from it.

use crate::model::request::{PROVIDER, Request, RequestValue};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFieldKind {
    /// Text for people.
    Text,
    /// Name of a provider or a model.
    Name,
    /// Width and height, as a text.
    Size,
    /// Integer, never negative.
    Whole,
    /// Floating-point number.
    Real,
    /// Source images.
    Urls,
    /// Adapters.
    Loras,
    /// Further parameters.
    Params,
}

impl RequestFieldKind {
    /// Returns whether the field holds a number.
    pub(crate) const fn is_number(self) -> bool {
        match self {
            Self::Whole | Self::Real => true,
            Self::Text | Self::Name | Self::Size | Self::Urls | Self::Loras | Self::Params => false,
        }
    }
}

/// Field of a request.
#[derive(Debug)]
pub(crate) struct RequestField {
    /// Name in a manifest.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: RequestFieldKind,
    get: fn(&Request) -> Option<RequestValue<'_>>,
    set: fn(&mut Request, RequestValue<'_>) -> Option<()>,
}

/// All fields, in the manifest's order.
pub(crate) const REQUEST_FIELDS: [RequestField; 11] = [
    RequestField {
        name: "prompt",
        kind: RequestFieldKind::Text,
        get: |request| Some(text(&request.prompt)),
        set: |request, value| value.into_text().map(|text| request.prompt = text),
    },
    RequestField {
        name: "negative_prompt",
        kind: RequestFieldKind::Text,
        get: |request| request.negative_prompt.as_deref().map(text),
        set: |request, value| value.into_text().map(|text| request.negative_prompt = Some(text)),
    },
    RequestField {
        name: PROVIDER,
        kind: RequestFieldKind::Name,
        get: |request| request.provider.as_deref().map(text),
        set: |request, value| value.into_text().map(|text| request.provider = Some(text)),
    },
    RequestField {
        name: "model",
        kind: RequestFieldKind::Name,
        get: |request| Some(text(&request.model)),
        set: |request, value| value.into_text().map(|text| request.model = text),
    },
    RequestField {
        name: "size",
        kind: RequestFieldKind::Size,
        get: |request| request.size.map(|size| RequestValue::Text(size.to_string().into())),
        set: |request, value| {
            request.size = Some(value.into_text()?.parse().ok()?);
            Some(())
        },
    },
    RequestField {
        name: "seed",
        kind: RequestFieldKind::Whole,
        get: |request| request.seed.map(RequestValue::Whole),
        set: |request, value| value.whole().map(|seed| request.seed = Some(seed)),
    },
    RequestField {
        name: "steps",
        kind: RequestFieldKind::Whole,
        get: |request| request.steps.map(|steps| RequestValue::Whole(steps.into())),
        set: |request, value| {
            request.steps = Some(value.whole()?.try_into().ok()?);
            Some(())
        },
    },
    RequestField {
        name: "guidance",
        kind: RequestFieldKind::Real,
        get: |request| request.guidance.map(RequestValue::Real),
        set: |request, value| value.real().map(|guidance| request.guidance = Some(guidance)),
    },
    RequestField {
        name: "image_url",
        kind: RequestFieldKind::Urls,
        get: |request| (!request.image_url.is_empty()).then_some(RequestValue::Urls(&request.image_url)),
        set: |request, value| match value {
            RequestValue::Urls(urls) => {
                request.image_url = urls.to_vec();
                Some(())
            }
            _ => None,
        },
    },
    RequestField {
        name: "loras",
        kind: RequestFieldKind::Loras,
        get: |request| (!request.loras.is_empty()).then_some(RequestValue::Loras(&request.loras)),
        set: |request, value| match value {
            RequestValue::Loras(loras) => {
                request.loras = loras.to_vec();
                Some(())
            }
            _ => None,
        },
    },
    RequestField {
        name: "params",
        kind: RequestFieldKind::Params,
        get: |request| (!request.params.is_empty()).then_some(RequestValue::Params(&request.params)),
        set: |request, value| match value {
            RequestValue::Params(params) => {
                request.params = params.clone();
                Some(())
            }
            _ => None,
        },
    },
];

fn text(text: &str) -> RequestValue<'_> {
    RequestValue::Text(text.into())
}

impl RequestField {
    /// Returns the value of the field in this request; `None` if it is not given.
    pub(crate) fn get<'a>(&self, request: &'a Request) -> Option<RequestValue<'a>> {
        (self.get)(request)
    }

    /// Sets the field of a request. `None` if the field cannot have this value.
    pub(crate) fn set(&self, request: &mut Request, value: RequestValue<'_>) -> Option<()> {
        (self.set)(request, value)
    }
}

impl Request {
    /// Returns every field with its name in a manifest, in the manifest's order. `None` means that the field is not given.
    pub fn fields(&self) -> [(&'static str, Option<RequestValue<'_>>); REQUEST_FIELDS.len()] {
        REQUEST_FIELDS.each_ref().map(|field| (field.name, field.get(self)))
    }

    /// Returns the fields that are given and that a provider is told.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, RequestValue<'_>)> {
        self.given().filter(|(name, _)| *name != PROVIDER)
    }

    /// Returns the fields that are given.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, RequestValue<'_>)> {
        self.fields().into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

impl RequestValue<'_> {
    fn into_text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text.into_owned()) } else { None }
    }

    const fn whole(&self) -> Option<u64> {
        if let Self::Whole(number) = self { Some(*number) } else { None }
    }

    const fn real(&self) -> Option<f64> {
        if let Self::Real(number) = self { Some(*number) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::{Json, Lora, Size};

    fn full() -> Request {
        Request {
            prompt: "a cat".into(),
            provider: Some("fal".into()),
            model: "a/b".into(),
            negative_prompt: Some("blur".into()),
            size: Some(Size { width: 64, height: 32 }),
            seed: Some(u64::MAX),
            steps: Some(4),
            guidance: Some(3.5),
            image_url: vec!["https://a".into()],
            loras: vec![Lora { repo: "x/y".into(), weight: Some(0.5) }],
            params: [("x".to_owned(), Json("1".into()))].into(),
        }
    }

    /// Goal: no field is missing from the list, nor set as another one. Method: a request with every field is built again from the list.
    #[test]
    fn a_request_is_made_again_from_its_fields() {
        let (request, mut again) = (full(), Request::default());
        for field in &REQUEST_FIELDS {
            assert_eq!(field.set(&mut again, field.get(&request).expect("every field is given")), Some(()));
        }
        assert_eq!(again, request);
    }

    #[test]
    fn a_field_refuses_what_it_cannot_hold() {
        for field in &REQUEST_FIELDS {
            for (value, kinds) in [
                (RequestValue::Text("7".into()), &[RequestFieldKind::Text, RequestFieldKind::Name][..]),
                (RequestValue::Whole(7), &[RequestFieldKind::Whole]),
                (RequestValue::Real(7.0), &[RequestFieldKind::Real]),
            ] {
                let is_set = field.set(&mut Request::default(), value.clone()).is_some();
                assert_eq!(is_set, kinds.contains(&field.kind), "{}: {value:?}", field.name);
            }
        }
        let steps = REQUEST_FIELDS.iter().find(|field| field.name == "steps").unwrap();
        assert_eq!(steps.set(&mut Request::default(), RequestValue::Whole(u64::MAX)), None);
    }
}
