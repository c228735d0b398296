//! What is not trusted with the memory, the terminal or the secret: manifests, words from outside, and every answer.
