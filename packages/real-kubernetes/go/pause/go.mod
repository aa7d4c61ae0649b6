module tombolo/pause

go 1.24.0
