//! Names of our fields in other programs (diffusers, the web UI, Midjourney and others), in English, Chinese and Japanese.

use crate::manifest::fields::field::{Field, META, misspelt};
use crate::manifest::fields::title_chars::joined;

/// What a name of another program means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Field(Field),
    /// One side of the size.
    Width,
    Height,
    /// Ratio of the sides, such as 16:9. There is no such field.
    AspectRatio,
    /// Parameter that only some providers know. It belongs into `params`.
    Parameter,
    /// The values that are carried through.
    Meta,
}

/// Names with one meaning.
struct Synonyms {
    means: Meaning,
    /// Names that have no other meaning, with spaces between them.
    certain: &'static str,
    /// Names that may also be a column of the user's own, such as `width` in a table of products.
    likely: &'static str,
}

/// All synonyms, in lower case and without spaces, `-` and `_`.
const SYNONYMS: [Synonyms; 15] = [
    Synonyms {
        means: Meaning::Field(Field::Prompt),
        certain: "positiveprompt positive 提示词 正面提示词 正向提示词 正面提示 正向提示 ポジティブ プロンプト \
            ポジティブプロンプト",
        likely: "caption text description prompttext textprompt imageprompt 描述 説明",
    },
    Synonyms {
        means: Meaning::Field(Field::NegativePrompt),
        certain: "negative neg negprompt negativetext negativeprompts ucprompt nprompt negativecaption 反向提示词 \
            负面提示词 负向提示词 反面提示词 负面提示 反向提示 negativepromptstext negativedescription 负面词 反向词 负向词 否定词 ネガティブワード 除外ワード 除外プロンプト \
            ネガティブプロンプト ネガティブ",
        likely: "uc 不要 除外",
    },
    Synonyms {
        means: Meaning::Field(Field::Guidance),
        certain: "cfg cfgscale guidancescale cfgvalue truecfg truecfgscale distilledguidance distilledcfgscale \
            fluxguidance guidancestrength cfgs classifierfreeguidance promptguidance 引导系数 提示词引导系数 \
            提示词相关性 引导强度 提示词引导 cfg值 cfg系数 ガイダンススケール cfgスケール",
        likely: "scale",
    },
    Synonyms {
        means: Meaning::Field(Field::Steps),
        certain: "numinferencesteps inferencesteps samplingsteps samplesteps numsteps nsteps diffusionsteps ddimsteps \
            numsamplingsteps 步数 采样步数 迭代步数 推理步数 生成步数 采样步骤 迭代次数 采样次数 ステップ回数 サンプリング回数 推論ステップ数 \
            ステップ数 サンプリングステップ",
        likely: "iterations ステップ",
    },
    Synonyms {
        means: Meaning::Field(Field::Seed),
        certain: "randomseed noiseseed rngseed imageseed seednumber 种子 随机种子 随机数种子 种子值 随机种 シード \
            シード値",
        likely: "",
    },
    Synonyms {
        means: Meaning::Width,
        certain: "imagewidth imgwidth outputwidth widthpx 图片宽度 图像宽度 图片宽 图像宽 画像幅",
        likely: "width w 宽 宽度 幅 横",
    },
    Synonyms {
        means: Meaning::Height,
        certain: "imageheight imgheight outputheight heightpx 图片高度 图像高度 图片高 图像高 画像高さ",
        likely: "height h 高 高度 高さ 縦",
    },
    Synonyms {
        means: Meaning::Field(Field::Size),
        certain: "imagesize imgsize outputsize imageresolution imagedimensions 图片尺寸 图像尺寸 图片大小 图像大小 \
            画像解像度 画像サイズ",
        likely: "widthxheight width×height width*height w×h wxh w*h 宽x高 宽×高 宽*高 幅x高さ 幅×高さ 横×縦 縦×横 resolution dimensions dimension 尺寸 分辨率 大小 サイズ 解像度",
    },
    Synonyms {
        means: Meaning::AspectRatio,
        certain: "aspectratio imageratio imageaspectratio 宽高比 长宽比 纵横比 画面比例 画幅比例 图片比例 アスペクト比 \
            縦横比",
        likely: "ar ratio aspect 比例 画幅",
    },
    Synonyms {
        means: Meaning::Field(Field::N),
        certain: "numimages numoutputs numimagesperprompt imagesperprompt nimages numberofimages batchsize batchcount \
            niter numsamples nsamples 图片数量 生成数量 出图数量 numberofoutputs imagecount numofimages numpics \
            张数 枚数 画像数 生成枚数 出图张数 生成张数 生成回数",
        likely: "count repeat repeats samples quantity 数量",
    },
    Synonyms {
        means: Meaning::Field(Field::Model),
        certain: "modelid checkpoint ckpt ckptname checkpointname sdmodel sdmodelcheckpoint modelpath",
        likely: "modelname basemodel 模型 模型名称 モデル モデル名",
    },
    Synonyms {
        means: Meaning::Field(Field::Loras),
        certain: "loraname loramodel loramodels lorapath loraweights loraurl lorascale",
        likely: "adapter adapters",
    },
    Synonyms {
        means: Meaning::Field(Field::ImageUrl),
        certain: "inputimage inputimages initimage referenceimage referenceimages sourceimage refimage refimages \
            inputimageurl controlimage 参考图 参考图片 参照画像 入力画像",
        likely: "image images img 图片 画像",
    },
    Synonyms {
        means: Meaning::Field(Field::Params),
        certain: "",
        likely: "parameters extrabody extraparams extraparameters generationparams generationparameters generateparams \
            genparams",
    },
    Synonyms {
        means: Meaning::Parameter,
        certain: "",
        likely: "sampler samplername samplerindex samplingmethod scheduler schedulername clipskip denoisingstrength \
            denoise strength promptstrength enablehr hrscale hrupscaler restorefaces vae stylize chaos weird \
            quality 采样器 采样方法 调度器 サンプラー",
    },
];

/// Length in bytes from which a name is none of the table.
const NAME_BYTES_MAX: usize = 100;

/// Names that are no parameters, but that an author may write for a field of a YAML entry.
const OTHERS: [(&str, Meaning); 5] = [
    ("key", Meaning::Field(Field::Id)),
    ("label", Meaning::Field(Field::Id)),
    ("name", Meaning::Field(Field::Id)),
    ("编号", Meaning::Field(Field::Id)),
    ("metadata", Meaning::Meta),
];

/// Returns what a name means in other programs, and whether it has no other meaning. `None` for an unknown name.
pub(crate) fn of(name: &str) -> Option<(Meaning, bool)> {
    let bare = without_remark(name);
    // A field with a remark, such as `Steps (1-100)`, is no title of ours.
    if let Some(field) = Field::titled(bare).filter(|_| bare != name.trim()) {
        return Some((Meaning::Field(field), true));
    }
    if bare.is_empty() || bare.len() > NAME_BYTES_MAX {
        return None;
    }
    let name = joined(bare);
    if name.is_empty() {
        return None;
    }
    let has = |names: &str| names.split(' ').any(|other| other == name);
    SYNONYMS.iter().find_map(|row| match () {
        () if has(row.certain) => Some((row.means, true)),
        () if has(row.likely) => Some((row.means, false)),
        () => None,
    })
}

/// Returns the names that other programs have for a field: those without another meaning first.
pub(crate) fn names_of(field: Field) -> impl Iterator<Item = &'static str> {
    let of_field = SYNONYMS.iter().filter(move |row| row.means == Meaning::Field(field));
    of_field.flat_map(|row| row.certain.split(' ').chain(row.likely.split(' '))).filter(|name| !name.is_empty())
}

/// Returns the names in other programs that have no other meaning, with what they mean.
pub(crate) fn certain_names() -> impl Iterator<Item = (&'static str, Meaning)> {
    let names = |row: &'static Synonyms| row.certain.split_whitespace().map(|name| (name, row.means));
    SYNONYMS.iter().flat_map(names)
}

/// Removes a remark in brackets and marks at the end, as in `Seed (optional)*`.
fn without_remark(name: &str) -> &str {
    let name = name.trim().trim_end_matches([':', '*', '?', ' ', '：']);
    let bare = name.strip_suffix([')', '）', ']']).and_then(|rest| rest.rfind(['(', '（', '[']).map(|at| &rest[..at]));
    bare.map(str::trim).filter(|bare| !bare.is_empty()).unwrap_or(name)
}

/// Returns whether this is the name of a field, here or in another program.
pub(crate) fn is_known(name: &str) -> bool {
    of(name).is_some() || ours(name).is_some() || Field::titled(name).is_some()
}

/// Finds the one of `names` that `written` probably means: a misspelt name, or another program's name of the field.
pub(crate) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let elsewhere = ours(written);
    misspelt(written, names.clone()).or_else(|| names.into_iter().find(|name| Some(*name) == elsewhere))
}

/// Returns our name for what another program calls `name`, if it is one field.
fn ours(name: &str) -> Option<&'static str> {
    let other = || OTHERS.iter().find(|(word, _)| *word == joined(name)).map(|(_, means)| *means);
    match of(name).map(|(means, _)| means).or_else(other)? {
        Meaning::Field(field) => Some(field.name()),
        Meaning::Meta => Some(META),
        Meaning::Width | Meaning::Height | Meaning::AspectRatio | Meaning::Parameter => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_stands_once_in_its_plain_form() {
        let mut seen = BTreeSet::new();
        let all = SYNONYMS
            .iter()
            .flat_map(|row| row.certain.split(' ').chain(row.likely.split(' ')).filter(|name| !name.is_empty()))
            .chain(OTHERS.iter().map(|(word, _)| *word));
        for name in all {
            assert_eq!(joined(name), name, "{name}");
            assert!(seen.insert(name), "{name} stands twice");
            assert_eq!(Field::titled(name), None, "{name} is a field");
        }
    }

    #[test]
    fn names_of_other_programs_have_their_meaning() {
        for (name, means, is_certain) in [
            ("num_inference_steps", Meaning::Field(Field::Steps), true),
            ("CFG Scale", Meaning::Field(Field::Guidance), true),
            ("Negative", Meaning::Field(Field::NegativePrompt), true),
            ("Width", Meaning::Width, false),
            ("aspect-ratio", Meaning::AspectRatio, true),
            ("num_outputs", Meaning::Field(Field::N), true),
            ("count", Meaning::Field(Field::N), false),
            ("随机种子", Meaning::Field(Field::Seed), true),
            ("ネガティブ プロンプト", Meaning::Field(Field::NegativePrompt), true),
            ("sampler_name", Meaning::Parameter, false),
            ("CFG Scale (1-20)", Meaning::Field(Field::Guidance), true),
            ("Steps (default 30)", Meaning::Field(Field::Steps), true),
            ("Seed:", Meaning::Field(Field::Seed), true),
            ("Width (px)", Meaning::Width, false),
            ("采样步数", Meaning::Field(Field::Steps), true),
            ("n_iter", Meaning::Field(Field::N), true),
            ("image_size", Meaning::Field(Field::Size), true),
        ] {
            assert_eq!(of(name), Some((means, is_certain)), "{name}");
        }
        for name in
            ["category", "style", "source", "作者", "price", "sku", "name", "file_name", "split", "owner", "weight"]
        {
            assert_eq!(of(name), None, "{name}");
        }
    }

    fn known() -> impl Iterator<Item = &'static str> + Clone {
        Field::ALL.into_iter().map(Field::name)
    }

    #[test]
    fn words_of_other_programs_are_understood_and_are_no_slips() {
        for field in Field::ALL {
            assert_eq!(nearest(field.name(), known()), Some(field.name()));
        }
        for (written, meant) in [
            ("caption", "prompt"),
            ("Text", "prompt"),
            ("cfg scale", "guidance"),
            ("guidance_scale", "guidance"),
            ("num-inference-steps", "steps"),
            ("name", "id"),
        ] {
            assert_eq!(nearest(written, known()), Some(meant), "{written}");
            assert_eq!(misspelt(written, known()), None, "{written}");
        }
    }

    #[test]
    #[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
    fn other_words_are_left_alone() {
        let endless = "prompt".repeat(1 << 20);
        for written in [&endless, "", "x", "na", "category", "style", "source", "作者", "rating", "is", "ip"] {
            assert_eq!(nearest(written, known()), None, "{written}");
        }
    }
}
