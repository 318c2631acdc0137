"""Where files and outputs lie: in a folder, or in an object store that speaks S3. Nobody outside this room knows which."""
