"""Where records live: one folder per kind of store, all meeting `penstock.ports.MetadataStore`."""
