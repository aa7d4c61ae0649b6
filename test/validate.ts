/** Loaded before all tests: turns on the inner checks that production does without. */
process.env['MESH_VALIDATE'] = '1';
