"""Made-up sentences, small enough to try the whole chain of training on."""
