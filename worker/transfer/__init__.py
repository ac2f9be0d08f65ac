"""The log in files: exported from one back end, imported into another, watched as it grows. No platform is called."""
