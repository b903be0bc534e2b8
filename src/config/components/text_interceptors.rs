//! Flume's interceptors that look at the body, remove headers, or make up identifiers.

use super::super::{Keys, Made, Registry, Site};
use super::known_charset;
use crate::codec::charset::Charset;
use crate::codec::pattern::Pattern;
use crate::interceptor::{Interceptor, RegexExtractor, RegexFilter, RemoveHeader, SearchReplace, Uuid};

pub(super) fn register(registry: &mut Registry) {
    registry.interceptor(&["regex_filter", &class("RegexFilteringInterceptor$Builder")], regex_filter);
    registry.interceptor(&["regex_extractor", &class("RegexExtractorInterceptor$Builder")], regex_extractor);
    registry.interceptor(&["search_replace", &class("SearchAndReplaceInterceptor$Builder")], search_replace);
    registry.interceptor(&["remove_header", &class("RemoveHeaderInterceptor$Builder")], remove_header);
    registry.interceptor(&["uuid", "org.apache.flume.sink.solr.morphline.UUIDInterceptor$Builder"], uuid);
}

fn class(name: &str) -> String {
    format!("org.apache.flume.interceptor.{name}")
}

fn regex_filter(keys: &mut Keys, _: &Site<'_>) -> Made<Box<dyn Interceptor>> {
    let exclude = keys.flag("excludeEvents", false);
    let make = |pattern: &str| if exclude { RegexFilter::excluding(pattern) } else { RegexFilter::including(pattern) };
    let filter = if keys.is_set("regex") { keys.parsed("regex", make) } else { make(&keys.text("regex", ".*")).ok() };
    match filter {
        Some(filter) => Ok(Box::new(filter)),
        None => Err(keys.refuse("it has no regex")),
    }
}

fn regex_extractor(keys: &mut Keys, _: &Site<'_>) -> Made<Box<dyn Interceptor>> {
    keys.required("regex");
    let extractor = keys.parsed("regex", RegexExtractor::new);
    let serializers = keys.required_list("serializers");
    if keys.is_set("serializers") && serializers.is_empty() {
        keys.mistake("serializers", "names no serializer");
    }
    let mut extractor = extractor;
    for serializer in serializers {
        let added = keys.within(&format!("serializers.{serializer}."), |keys| add_header(keys, extractor.clone()));
        extractor = added.or(extractor);
    }
    match extractor.filter(|_| keys.is_good()) {
        Some(extractor) => Ok(Box::new(extractor)),
        None => Err(keys.refuse("it has no regex")),
    }
}

/// What is done with the next group.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Millis,
}

fn add_header(keys: &mut Keys, extractor: Option<RegexExtractor>) -> Option<RegexExtractor> {
    let text = class("RegexExtractorInterceptorPassThroughSerializer");
    let millis = class("RegexExtractorInterceptorMillisSerializer");
    // Flume knows DEFAULT in capitals only, though its guide has it in small letters.
    let forms = [("DEFAULT", Form::Text), ("millis", Form::Millis), (&text, Form::Text), (&millis, Form::Millis)];
    let form = keys.choice("type", &forms, Form::Text);
    let name = keys.required("name");
    match form {
        Form::Text => extractor.map(|extractor| extractor.header(name)),
        Form::Millis => {
            keys.required("pattern");
            keys.parsed("pattern", |pattern| extractor.map(|extractor| extractor.millis(name, pattern)).transpose())?
        }
    }
}

fn search_replace(keys: &mut Keys, _: &Site<'_>) -> Made<Box<dyn Interceptor>> {
    keys.required("searchPattern");
    let is_pattern = keys.parsed("searchPattern", Pattern::new).is_some();
    let pattern = keys.text("searchPattern", "");
    let replacement = keys.text("replaceString", "");
    let charset = keys.parsed("charset", known_charset).unwrap_or(Charset::UTF_8);
    match SearchReplace::new(&pattern, &replacement) {
        Ok(interceptor) if keys.is_good() => Ok(Box::new(interceptor.charset(charset).reencode())),
        Err(error) if is_pattern => {
            keys.mistake("replaceString", error.to_string());
            Err(keys.refuse(error))
        }
        _ => Err(keys.refuse("it has no searchPattern")),
    }
}

fn remove_header(keys: &mut Keys, _: &Site<'_>) -> Made<Box<dyn Interceptor>> {
    let mut interceptor = RemoveHeader::new();
    if let Some(name) = keys.optional("withName") {
        interceptor = interceptor.name(name);
    }
    let separator = Pattern::new(&keys.text("fromListSeparator", r"\s*,\s*"));
    let list = keys.optional("fromList");
    match (separator, list) {
        (Ok(separator), Some(list)) => interceptor = interceptor.names(separator.split(&list)),
        (Ok(_), None) => {}
        (Err(error), _) => keys.mistake("fromListSeparator", error.to_string()),
    }
    if keys.is_set("matching") {
        let with = interceptor.clone();
        interceptor = keys.parsed("matching", |pattern| with.matching(pattern)).unwrap_or(interceptor);
    }
    Ok(Box::new(interceptor))
}

fn uuid(keys: &mut Keys, _: &Site<'_>) -> Made<Box<dyn Interceptor>> {
    let interceptor = Uuid::new()
        .header(keys.text("headerName", "id"))
        .preserve_existing(keys.flag("preserveExisting", true))
        .prefix(keys.text("prefix", ""));
    Ok(Box::new(interceptor))
}

#[cfg(test)]
mod tests;
