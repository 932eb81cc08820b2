//! genai-prices' price keys in ours.

use super::number::Unit;
use crate::values::Bucket;

/// Our bucket for a price key. Where they have a price for text, it is that of plain input or output.
pub(super) fn bucket(key: &str) -> Option<(Bucket, Unit)> {
    let bucket = match key {
        "input_mtok" | "input_text_mtok" => Bucket::Input,
        "output_mtok" | "output_text_mtok" => Bucket::Output,
        "cache_read_mtok" | "cache_text_read_mtok" => Bucket::CacheRead,
        "cache_write_mtok" | "cache_text_write_mtok" => Bucket::CacheWrite,
        "cache_write_5m_mtok" | "cache_text_write_5m_mtok" => Bucket::CacheWrite5m,
        "cache_write_1h_mtok" | "cache_text_write_1h_mtok" => Bucket::CacheWrite1h,
        "input_audio_mtok" => Bucket::InputAudio,
        "output_audio_mtok" => Bucket::OutputAudio,
        "cache_audio_read_mtok" => Bucket::CacheReadAudio,
        "cache_audio_write_mtok" => Bucket::CacheWriteAudio,
        "input_image_mtok" => Bucket::InputImage,
        "output_image_mtok" => Bucket::OutputImage,
        "cache_image_read_mtok" => Bucket::CacheReadImage,
        "input_video_mtok" => Bucket::InputVideo,
        "output_video_mtok" => Bucket::OutputVideo,
        "cache_video_read_mtok" => Bucket::CacheReadVideo,
        "input_tool_mtok" => Bucket::InputTool,
        "output_reasoning_mtok" => Bucket::OutputReasoning,
        "output_citation_mtok" => Bucket::OutputCitation,
        "input_mchars" => Bucket::InputCharacter,
        "input_text_messages_kcount" => Bucket::TextMessage,
        "audio_hours" => Bucket::AudioMs,
        "input_audio_hours" => Bucket::InputAudioMs,
        "output_audio_hours" => Bucket::OutputAudioMs,
        "input_gpixels" => Bucket::InputPixel,
        "input_document_kpages" => Bucket::Page,
        "input_annotated_document_kpages" => Bucket::PageAnnotated,
        "rerank_searches_kcount" => Bucket::RerankSearch,
        "web_searches_kcount" => Bucket::WebSearch,
        "social_searches_kcount" => Bucket::SocialSearch,
        "storage_searches_kcount" => Bucket::FileSearch,
        "requests_kcount" => Bucket::Request,
        // A code session is one of ours: theirs are a thousand.
        "code_executions_kcount" => return Some((Bucket::CodeSession, Unit::ten_to(-3))),
        _ => return None,
    };
    Some((bucket, Unit::SAME))
}
