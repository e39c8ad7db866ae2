"""Items to and from the messages of other APIs: Chat Completions and Anthropic."""
