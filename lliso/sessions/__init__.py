"""What a person does in an app, without widgets: state, files, and the screen as plain data."""
