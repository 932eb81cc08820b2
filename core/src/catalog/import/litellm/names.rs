//! LiteLLM's names in ours: whose model an entry is, what it is called there, and which part of the name is a region
//! or a size.

use crate::catalog::schema::When;

/// LiteLLM's provider, ours, and what its keys begin with.
const PROVIDERS: [(&str, &str, &[&str]); 26] = [
    ("openai", "openai", &["openai/"]),
    ("text-completion-openai", "openai", &["text-completion-openai/"]),
    ("azure", "azure", &["azure/"]),
    ("azure_text", "azure", &["azure/", "azure_text/"]),
    ("azure_ai", "azure", &["azure_ai/"]),
    ("anthropic", "anthropic", &["anthropic/"]),
    ("gemini", "google", &["gemini/"]),
    ("bedrock", "aws", &["bedrock/"]),
    ("bedrock_converse", "aws", &["bedrock/", "bedrock_converse/"]),
    ("bedrock_mantle", "aws", &["bedrock_mantle/"]),
    ("mistral", "mistral", &["mistral/"]),
    ("codestral", "mistral", &["codestral/"]),
    ("text-completion-codestral", "mistral", &["text-completion-codestral/"]),
    ("cohere", "cohere", &["cohere/"]),
    ("cohere_chat", "cohere", &["cohere_chat/"]),
    ("xai", "x-ai", &["xai/"]),
    ("deepseek", "deepseek", &["deepseek/"]),
    ("groq", "groq", &["groq/"]),
    ("together_ai", "together", &["together_ai/"]),
    ("fireworks_ai", "fireworks", &["fireworks_ai/"]),
    ("fireworks_ai-embedding-models", "fireworks", &["fireworks_ai/"]),
    ("openrouter", "openrouter", &["openrouter/"]),
    ("moonshot", "moonshotai", &["moonshot/"]),
    ("dashscope", "qwen", &["dashscope/"]),
    ("zai", "z-ai", &["zai/"]),
    ("cerebras", "cerebras", &["cerebras/"]),
];

/// What an entry is called.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Name {
    /// Our provider.
    pub(super) provider: String,
    /// What the model is called there.
    pub(super) model: String,
    /// It is this model's price under a condition: `azure/eu/gpt-4o` is `gpt-4o` in the EU.
    pub(super) of: Option<(String, When)>,
}

/// Our provider for one of LiteLLM's. Resellers keep their own name.
pub(super) fn provider(theirs: &str) -> &str {
    if theirs == "vertex_ai" || theirs.starts_with("vertex_ai-") {
        return "vertex";
    }
    PROVIDERS.iter().find(|(known, ..)| *known == theirs).map_or(theirs, |(_, ours, _)| ours)
}

/// Of two entries with one name the lower counts: the provider's own before a sibling's (`codestral` before `mistral`
/// would make it free), and the key with the provider in it, as LiteLLM itself looks them up.
pub(super) fn rank(key: &str, theirs: &str) -> (usize, bool) {
    let at = PROVIDERS.iter().position(|(known, ..)| *known == theirs).unwrap_or(0);
    (at, !key.starts_with(theirs))
}

/// The names under which LiteLLM knows a provider of ours.
pub(in super::super) fn aliases(ours: &str) -> Vec<String> {
    if ours == "vertex" {
        return vec!["vertex_ai".to_owned()];
    }
    let theirs = PROVIDERS.iter().filter(|(known, of, _)| *of == ours && *known != ours);
    theirs.map(|(known, ..)| (*known).to_owned()).collect()
}

/// What the entry `key` of a provider is called.
pub(super) fn name(key: &str, theirs: &str) -> Name {
    let ours = provider(theirs);
    let listed = PROVIDERS.iter().find(|(known, ..)| *known == theirs).map(|(.., prefixes)| *prefixes);
    let bare = match (listed, ours) {
        (Some(prefixes), _) => prefixes.iter().find_map(|prefix| key.strip_prefix(prefix)),
        (None, "vertex") => key.strip_prefix("vertex_ai/"),
        (None, _) => key.strip_prefix(theirs).and_then(|rest| rest.strip_prefix('/')),
    }
    .unwrap_or(key);
    let of = zone(bare, ours).or_else(|| picture(bare, ours));
    Name { provider: ours.to_owned(), model: bare.to_owned(), of }
}

/// `eu/gpt-4o` of Azure, `us-west-2/…` of Bedrock.
fn zone(name: &str, provider: &str) -> Option<(String, When)> {
    let (place, model) = name.split_once('/')?;
    let when = match provider {
        "azure" if matches!(place, "eu" | "us" | "apac" | "us-gov") => {
            When { geo: Some(place.to_owned()), ..When::default() }
        }
        "aws" if is_region(place) && !model.contains("commitment/") => {
            When { region: Some(place.to_owned()), ..When::default() }
        }
        _ => return None,
    };
    Some((model.to_owned(), when))
}

/// `us-gov-west-1`, `ap-northeast-1`.
fn is_region(place: &str) -> bool {
    let mut parts = place.split('-');
    let (head, tail) = (parts.next(), place.rsplit('-').next());
    head.is_some_and(|head| head.len() == 2 && head.bytes().all(|b| b.is_ascii_lowercase()))
        && tail.is_some_and(|tail| tail.len() == 1 && tail.bytes().all(|b| b.is_ascii_digit()))
        && parts.count() >= 2
}

/// `high/1024-x-1024/gpt-image-1`, `512-x-512/50-steps/bedrock/stability.…`: quality, size, model.
fn picture(name: &str, provider: &str) -> Option<(String, When)> {
    let (first, rest) = name.split_once('/')?;
    let (second, after) = rest.split_once('/').unwrap_or(("", rest));
    let (quality, size, model) = match (size(first), size(second)) {
        (None, Some(size)) if is_word(first) => (Some(first), size, after),
        (Some(size), _) if second.ends_with("-steps") => (Some(second), size, after),
        (Some(size), _) => (None, size, rest),
        _ => return None,
    };
    let model = if provider == "aws" { model.strip_prefix("bedrock/").unwrap_or(model) } else { model };
    let when = When { size: Some(size), quality: quality.map(str::to_owned), ..When::default() };
    Some((model.to_owned(), when))
}

fn is_word(text: &str) -> bool {
    matches!(text, "low" | "medium" | "high" | "standard" | "hd" | "auto")
}

/// `1024-x-1536` as replies say it: `1024x1536`.
fn size(text: &str) -> Option<String> {
    let (wide, high) = text.split_once("-x-")?;
    let digits = |s: &str| !s.is_empty() && s.len() <= 5 && s.bytes().all(|b| b.is_ascii_digit());
    (digits(wide) && digits(high)).then(|| format!("{wide}x{high}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(key: &str, theirs: &str) -> (String, String, Option<(String, String)>) {
        let name = name(key, theirs);
        let of = name.of.map(|(model, when)| (model, serde_json::to_string(&when).unwrap()));
        (name.provider, name.model, of)
    }

    #[test]
    fn keys_are_provider_and_model() {
        for (key, theirs, provider, model) in [
            ("gpt-4o", "openai", "openai", "gpt-4o"),
            ("gemini/gemini-2.5-pro", "gemini", "google", "gemini-2.5-pro"),
            ("gemini-2.5-pro", "vertex_ai-language-models", "vertex", "gemini-2.5-pro"),
            ("vertex_ai/meta/llama-4", "vertex_ai-llama_models", "vertex", "meta/llama-4"),
            ("anthropic.claude-v2", "bedrock", "aws", "anthropic.claude-v2"),
            ("together_ai/Qwen/Qwen3", "together_ai", "together", "Qwen/Qwen3"),
            ("deepinfra/Qwen/Qwen3", "deepinfra", "deepinfra", "Qwen/Qwen3"),
        ] {
            assert_eq!(told(key, theirs), (provider.to_owned(), model.to_owned(), None), "{key}");
        }
        assert_eq!(aliases("together"), ["together_ai"]);
        assert!(aliases("openai").contains(&"text-completion-openai".to_owned()));
    }

    #[test]
    fn zones_and_sizes_are_conditions() {
        for (key, theirs, model, when) in [
            ("azure/eu/gpt-4o", "azure", "gpt-4o", r#"{"geo":"eu"}"#),
            ("bedrock/us-gov-west-1/meta.llama3", "bedrock", "meta.llama3", r#"{"region":"us-gov-west-1"}"#),
            (
                "high/1024-x-1024/gpt-image-1",
                "openai",
                "gpt-image-1",
                r#"{"size":"1024x1024","quality":"high"}"#,
            ),
            (
                "512-x-512/max-steps/stability.x",
                "bedrock",
                "stability.x",
                r#"{"size":"512x512","quality":"max-steps"}"#,
            ),
            ("1024-x-1024/dall-e-2", "openai", "dall-e-2", r#"{"size":"1024x1024"}"#),
        ] {
            let (_, _, of) = told(key, theirs);
            assert_eq!(of, Some((model.to_owned(), when.to_owned())), "{key}");
        }
        for key in ["bedrock/us-east-1/1-month-commitment/x", "bedrock/claude_platform/x", "bedrock/invoke/x"]
        {
            assert_eq!(told(key, "bedrock").2, None, "{key}");
        }
    }
}
