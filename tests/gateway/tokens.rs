//! OAuth tokens: refreshed before their end, after a refusal, and one at a time.
